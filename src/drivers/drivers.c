/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The list of built-in drivers: a new one is added here and nowhere else. */
#include "attachfs/driver.h"

#include "drivers.h"

#include <string.h>

const struct driver *const drivers[] = {
	&tgt_driver,
	&memory_driver,
	NULL,
};

const struct driver *driver_find(const char *name)
{
	for (size_t i = 0; drivers[i]; i++)
		if (!strcmp(drivers[i]->name, name))
			return drivers[i];
	return NULL;
}
