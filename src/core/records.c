/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Can every record be read? What a newer attachfs has written, or damage, is left alone. */
#include <errno.h>
#include <inttypes.h>

#include "core.h"

static int check_record(void *arg, struct text key, struct text record)
{
	uint64_t number = key.n == 8 ? key_to_u64(key.p) : 0;
	union any object;

	if (key.n == 8 && !object_decode(number, record, &object))
		return 0;
	return error_set(arg, EINVAL, "the record of object %" PRIu64 " in the state is damaged, or was "
			 "written by a newer attachfs; left as it is", number);
}

int core_check_records(struct store *store, struct error *err)
{
	struct tx tx;
	int rc = store_read_begin(store, &tx);

	if (rc)
		return error_set(err, -rc, "cannot read the state: %s", strerror(-rc));
	rc = tx_scan(&tx, TABLE_OBJECTS, TEXT_NONE, TEXT_NONE, check_record, err);
	store_read_end(&tx);
	return rc;
}
