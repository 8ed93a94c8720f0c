/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The program: its options, and what it does without a mount. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "attachfs/core.h"
#include "attachfs/log.h"
#include "attachfs/store.h"
#include "attachfs/worker.h"
#include "main.h"

static const char help[] =
	"usage: attachfs -c FILE [-f] [-v] [-o OPTIONS] MOUNTPOINT\n"
	"       attachfs -c FILE --check-config | --check | --repair | --dump\n"
	"\n"
	"Serves volumes, docks and attachments as a file system at MOUNTPOINT.\n"
	"\n"
	"  -c, --config FILE   the configuration, attachfs.yaml(5)\n"
	"  -f, --foreground    stay in the foreground and log to standard error\n"
	"  -v, --verbose       log debugging messages too\n"
	"  -o OPTIONS          mount options, as for mount(8)\n"
	"      --check-config  check the configuration and exit\n"
	"      --check         compare the records with the backends and exit: 0 if all agree\n"
	"      --repair        do what every start does to make them agree, then --check\n"
	"      --dump          print every stored record as a JSON line and exit\n"
	"  -h, --help          this text\n"
	"  -V, --version       the version\n"
	"\n"
	"Without -f it goes to the background once the mount is served. End it with\n"
	"umount MOUNTPOINT, or SIGTERM: no host's session ends with it.\n"
	"See attachfs(8), attachfs(7) for the tree, attachfs.yaml(5).\n";

enum { OPT_CHECK_CONFIG = 256, OPT_CHECK, OPT_REPAIR, OPT_DUMP };

static const struct option long_options[] = {
	{"config", required_argument, NULL, 'c'},
	{"foreground", no_argument, NULL, 'f'},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{"check-config", no_argument, NULL, OPT_CHECK_CONFIG},
	{"check", no_argument, NULL, OPT_CHECK},
	{"repair", no_argument, NULL, OPT_REPAIR},
	{"dump", no_argument, NULL, OPT_DUMP},
	{0},
};

static int usage_error(const char *what)
{
	fprintf(stderr, "attachfs: %s; try attachfs --help\n", what);
	return EXIT_USAGE;
}

/* -1: go on; else the exit code. */
static int parse_options(int argc, char **argv, struct options *o)
{
	int c;

	while ((c = getopt_long(argc, argv, "c:fvo:hV", long_options, NULL)) != -1)
		switch (c) {
		case 'c':
			o->conf_file = optarg;
			break;
		case 'f':
			o->foreground = true;
			break;
		case 'v':
			o->verbose = true;
			break;
		case 'o':
			o->mount_options = optarg;
			break;
		case OPT_CHECK_CONFIG:
			o->check_config = true;
			break;
		case OPT_CHECK:
			o->check = true;
			break;
		case OPT_REPAIR:
			o->repair = true;
			break;
		case OPT_DUMP:
			o->dump = true;
			break;
		case 'h':
			fputs(help, stdout);
			return EXIT_OK;
		case 'V':
			puts("attachfs " ATTACHFS_VERSION);
			return EXIT_OK;
		default:
			return usage_error("unknown option or missing argument");
		}
	if (!o->conf_file)
		return usage_error("no configuration named: -c FILE is needed");
	if (optind < argc)
		o->mountpoint = argv[optind++];
	if (optind < argc)
		return usage_error("more than one mount point");
	if (!o->check_config && !o->check && !o->repair && !o->dump && !o->mountpoint)
		return usage_error("no mount point named");
	return -1;
}

int fail(const struct error *err)
{
	fprintf(stderr, "attachfs: %s\n", err->text);
	return EXIT_FAILED;
}

static void warn_line(void *arg, const char *line)
{
	(void)arg;
	log_warning("%s", line);
}

static int print_line(void *arg, struct text json)
{
	(void)arg;
	return printf("%.*s\n", TEXT_ARG(json)) < 0 ? -EIO : 0;
}

static int dump(const struct conf *conf)
{
	struct error err = {0};
	struct store *store;
	int rc = store_open(conf->state, conf->map_size, true, &store, &err);

	if (rc)
		return fail(&err);
	rc = core_check_records(store, &err);
	if (!rc) {
		rc = core_dump(store, print_line, NULL);
		if (rc || fflush(stdout))
			rc = error_set(&err, rc ? -rc : errno, "dump: %s",
				       strerror(rc ? -rc : errno));
	}
	store_close(store);
	return rc ? fail(&err) : EXIT_OK;
}

static int print_difference(void *arg, const char *path, const char *what)
{
	++*(unsigned long *)arg;
	return printf("%s: %s\n", path, what) < 0 ? -EIO : 0;
}

/* Exit status 0 only if everything agrees. */
static int check(const struct conf *conf, bool repair)
{
	struct error err = {0};
	unsigned long n = 0;

	harden();
	if (repair && worker_repair(conf, &err))
		return fail(&err);
	if (worker_audit(conf, print_difference, &n, &err))
		return fail(&err);
	if (n)
		printf("%lu difference%s\n", n, n == 1 ? "" : "s");
	else
		puts("all agree");
	return fflush(stdout) || n ? EXIT_FAILED : EXIT_OK;
}

int main(int argc, char **argv)
{
	struct options o = {0};
	struct error err = {0};
	struct conf *conf;
	int rc = parse_options(argc, argv, &o);

	if (rc >= 0)
		return rc;
	log_open(false, o.verbose ? LOG_DEBUG : LOG_INFO);
	if (conf_load(o.conf_file, warn_line, NULL, &conf, &err))
		return fail(&err);
	if (worker_check_conf(conf, &err))
		rc = fail(&err);
	else if (o.check_config)
		rc = EXIT_OK;
	else
		rc = o.dump			  ? dump(conf)
		     : o.check || o.repair ? check(conf, o.repair)
					   : serve(conf, &o);
	conf_unload(conf);
	return rc;
}
