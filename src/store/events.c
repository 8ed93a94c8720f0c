/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The audit log: lines in a table keyed by their place in one endless byte stream. */
#include "store.h"

#include <errno.h>

#include "attachfs/limits.h"

/*
 * A line's key is where it begins. What is older than the counter in TABLE_META was dropped; offsets
 * that readers use are relative to that.
 */
static const struct text begin_key = TEXT("events_begin");

static uint64_t find_begin(struct tx *tx)
{
	struct text value;

	return !tx_get(tx, TABLE_META, begin_key, &value) && value.n == 8 ? key_to_u64(value.p) : 0;
}

static int move_begin(struct tx *tx, uint64_t to)
{
	uint8_t bytes[8];

	key_u64(bytes, to);
	return tx_put(tx, TABLE_META, begin_key, (struct text){(char *)bytes, sizeof(bytes)});
}

/* Where the last line ends, and the next one will begin. */
static int find_end(struct tx *tx, uint64_t *ret)
{
	struct text key, line;
	int rc = tx_last(tx, &key, &line);

	*ret = rc ? find_begin(tx) : key_to_u64(key.p) + line.n;
	return rc == -ENOENT ? 0 : rc;
}

static int first_key(void *arg, struct text key, struct text value)
{
	(void)value;
	*(uint64_t *)arg = key_to_u64(key.p);
	return 1;
}

/* Drops whole lines from the beginning until half the room is free. */
static int drop_older_half(struct tx *tx, uint64_t end)
{
	uint64_t at = end;
	uint8_t key[8];
	int rc;

	while ((rc = tx_scan(tx, TABLE_EVENTS, TEXT_NONE, TEXT_NONE, first_key, &at)) == 1 &&
	       end - at > tx->store->events_max / 2) {
		key_u64(key, at);
		rc = tx_delete(tx, TABLE_EVENTS, (struct text){(char *)key, sizeof(key)});
		if (rc)
			return rc;
	}
	return rc < 0 ? rc : move_begin(tx, at);
}

int tx_event_add(struct tx *tx, struct text line)
{
	uint8_t key[8];
	uint64_t end, begin = find_begin(tx);
	int rc = find_end(tx, &end);

	if (!rc && end - begin > tx->store->events_max) {
		rc = drop_older_half(tx, end);
		begin = find_begin(tx);
	}
	if (rc)
		return rc;
	tx->log_bytes = end + line.n - begin;
	key_u64(key, end);
	return tx_append(tx, (struct text){(char *)key, sizeof(key)}, line);
}

uint64_t tx_events_size(struct tx *tx)
{
	uint64_t end;

	if (tx->log_bytes)
		return tx->log_bytes;
	return find_end(tx, &end) ? 0 : end - find_begin(tx);
}

/* One read: the stream's bytes from `at` on, into out[0 … size). */
struct events_read {
	uint64_t at;
	char *out;
	size_t size, done;
};

static int copy_line(void *arg, struct text key, struct text line)
{
	struct events_read *r = arg;
	uint64_t start = key_to_u64(key.p), skip = r->at + r->done - start;
	size_t n;

	if (r->at + r->done < start || skip >= line.n)
		return 0; /* the line that `at` lies in begins before it, or has ended */
	n = line.n - skip;
	if (n > r->size - r->done)
		n = r->size - r->done;
	memcpy(r->out + r->done, line.p + skip, n);
	r->done += n;
	return r->done == r->size;
}

int tx_events_read(struct tx *tx, uint64_t offset, char *out, size_t size, size_t *ret)
{
	uint64_t begin = find_begin(tx), from;
	struct events_read r = {.at = begin + offset, .out = out, .size = size};
	uint8_t key[8];
	int rc = 0;

	/* The line that holds the first byte begins at most one line's length before it. */
	from = r.at - begin > EVENT_BYTES_MAX ? r.at - EVENT_BYTES_MAX : begin;
	key_u64(key, from);
	if (size)
		rc = tx_scan(tx, TABLE_EVENTS, TEXT_NONE, (struct text){(char *)key, 8},
			     copy_line, &r);
	if (rc < 0)
		return rc;
	*ret = r.done;
	return 0;
}
