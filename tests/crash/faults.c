/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A library to preload into attachfs, which makes it fail, or forget, on command. */
#include <dlfcn.h>
#include <lmdb.h>
#include <stdlib.h>

/*
 * FAULT_NOSYNC=1: the state is never synced, as with MDB_NOSYNC.
 */

/* The next library's function of that name. */
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode)
{
	return REAL(mdb_env_open)(env, path, flags | (getenv("FAULT_NOSYNC") ? MDB_NOSYNC : 0),
				  mode);
}
