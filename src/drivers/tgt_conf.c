/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tgt driver's keys of a dock file, and OpenSDS's older names for some of them. */
#include "tgt.h"

#include "attachfs/cleanup.h"

#include "filepool.h"

#include <errno.h>
#include <string.h>

/*
 *	tgt:
 *	  portal: ADDRESS:PORT	127.0.0.1:3260; where hosts log in. The port of the first daemon
 *	  controlPort: N	1 if spawned, else 0: the number in its socket's name
 *	  spawn: BOOL		false: use the machine's tgtd. true: start our own, as many as needed
 *	  chap: BOOL		true
 *	  iqnPrefix: NAME	iqn.2026-11.io.attachfs
 *	  tgtd: PATH		/usr/sbin/tgtd
 *
 * tgtBindIp and enableChapAuth at the top of the file hold where `tgt:` says nothing.
 */

/* Cuts "ADDRESS:PORT" or "[V6]:PORT"; the parts stay in the configuration's text. */
static int check_portal(const struct conf_node *map, const char *portal, struct error *err)
{
	const char *colon = strrchr(portal, ':');
	uint64_t port;

	if (!colon || colon == portal || strlen(portal) > 60 || !tgt_value_ok(portal) ||
	    text_to_u64(text_of(colon + 1), &port) || port < 1 ||
	    port > 65535 - TGT_DAEMONS_MAX || (strchr(portal, ':') != colon && *portal != '['))
		return conf_fail(conf_get(map, "portal"), err,
				 "portal: expected ADDRESS:PORT, not %s", portal);
	return 0;
}

static int read_portal(const struct dock_conf *dock, const struct conf_node *map,
		       struct tgt_conf *c, struct error *err)
{
	const char *portal = NULL, *bind_ip = NULL;
	int rc = conf_string(map, "portal", &portal, err);

	if (!rc)
		rc = conf_string(dock->root, "tgtBindIp", &bind_ip, err);
	if (!rc && bind_ip && (!tgt_value_ok(bind_ip) || strlen(bind_ip) > 50))
		rc = conf_fail(conf_get(dock->root, "tgtBindIp"), err,
			       "tgtBindIp: expected an IP address, not %s", bind_ip);
	if (!rc && portal)
		rc = check_portal(map, portal, err);
	if (rc)
		return rc;
	c->address = portal ? portal : bind_ip ? bind_ip : "127.0.0.1";
	c->port = 3260;
	if (portal) {
		uint64_t port = 0;

		text_to_u64(text_of(strrchr(portal, ':') + 1), &port);
		c->port = (unsigned)port;
	}
	return 0;
}

static int check_names(const struct conf_node *map, const struct tgt_conf *c, struct error *err)
{
	size_t n = strspn(c->prefix, "abcdefghijklmnopqrstuvwxyz0123456789.:-");

	if (strncmp(c->prefix, "iqn.", 4) || c->prefix[n] || n > TGT_PREFIX_MAX)
		return conf_fail(conf_get(map, "iqnPrefix"), err,
				 "iqnPrefix: expected iqn.YYYY-MM.DOMAIN in lower case, not %s",
				 c->prefix);
	if (c->program[0] != '/')
		return conf_fail(conf_get(map, "tgtd"), err,
				 "tgtd: expected an absolute path, not %s", c->program);
	return 0;
}

int tgt_conf_read(const struct dock_conf *dock, struct tgt_conf *ret, struct error *err)
{
	static const char *const keys[] = {"portal", "controlPort", "spawn", "chap",
					   "iqnPrefix", "tgtd", NULL};
	struct tgt_conf c = {
		.chap = true,
		.prefix = "iqn.2026-11.io.attachfs",
		.program = "/usr/sbin/tgtd",
	};
	const struct conf_node *map = NULL;
	uint64_t control_port;
	int rc = conf_map(dock->root, "tgt", &map, err);

	if (!rc)
		rc = conf_only(map, keys, err);
	if (!rc)
		rc = read_portal(dock, map, &c, err);
	if (!rc)
		rc = conf_bool(map, "spawn", &c.spawn, err);
	control_port = c.spawn ? 1 : 0;
	if (!rc)
		rc = conf_number(map, "controlPort", 0, 32000, &control_port, err);
	if (!rc)
		rc = conf_bool(dock->root, "enableChapAuth", &c.chap, err);
	if (!rc)
		rc = conf_bool(map, "chap", &c.chap, err);
	if (!rc)
		rc = conf_string(map, "iqnPrefix", &c.prefix, err);
	if (!rc)
		rc = conf_string(map, "tgtd", &c.program, err);
	if (!rc)
		rc = check_names(map, &c, err);
	if (!rc)
		rc = filepool_check_config(dock, err);
	if (rc)
		return rc;
	c.control_port = (unsigned)control_port;
	*ret = c;
	return 0;
}
