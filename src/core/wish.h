/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a volume or a profile asks of a pool, and whether a pool is that. */
#ifndef CORE_WISH_H
#define CORE_WISH_H

#include "core.h"
#include "spec.h"

/* One extra spec. */
struct want {
	char key[NAME_BYTES_MAX + 1]; /* of the capability: without a scope */
	bool of_multiattach;	      /* it is about the pool's own multiattach */
	struct spec spec;
};

/*
 * Read once, compared with many pools. Empty texts ask for nothing. Texts are borrowed from
 * the transaction (and from the volume), so nothing may be written meanwhile.
 */
struct wish {
	struct text storage_type, pool, zone;
	bool multiattach;
	struct want *wants;
	size_t n, size;
	/* The capabilities that were compared last: pools that are alike follow each other. */
	struct text last_extras;
	bool last_known, last_multiattach, last_fits;
};

/* Number 0 asks for nothing but the default storage type. Freed by wish_free(), also if it fails. */
int wish_of_profile(struct tx *tx, uint64_t profile, struct wish *ret);
/* What its profile, as it is now, and the volume itself ask for. */
int wish_of_volume(struct tx *tx, const struct volume *v, struct wish *ret);
void wish_free(struct wish *wish);

/* Must its pool be able to attach a volume to several hosts? Then its volumes do, by default. */
bool wish_is_multiattach(const struct wish *wish);

/*
 * Is the pool what is wished for, room aside? If not, and `why` is not NULL, each clause that
 * fails is said there, with `between` before each but the first. `placed`: a volume is there
 * already, so whether it can be reached at this moment does not matter.
 */
bool wish_fits(struct wish *wish, const struct pool *pool, const struct dock *dock,
	       bool placed, struct buf *why, const char *between);

#endif
