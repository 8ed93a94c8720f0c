/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the parts of the YAML reader. */
#ifndef CONFIG_TREE_H
#define CONFIG_TREE_H

#include <yaml.h>

#include "attachfs/conf.h"

/* Says what libyaml found wrong with `text`, and where; -EINVAL or -ENOMEM. */
int yaml_fail(const yaml_parser_t *parser, const char *file, struct text text,
	      struct error *err);

/* Frees a tree but not the name of its file. NULL is nothing. */
void node_free(struct conf_node *node);

#endif
