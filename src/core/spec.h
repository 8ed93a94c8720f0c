/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Extra specs: what a profile wants of one capability, such as "<is> True" or ">= 5000". */
#ifndef CORE_SPEC_H
#define CORE_SPEC_H

#include "attachfs/buf.h"
#include "attachfs/text.h"

/* The operators of Cinder and Nova; what begins with none of them is SPEC_SAME. */
enum spec_op {
	SPEC_SAME,	/* VALUE: the same text, or the same boolean */
	SPEC_IS,	/* <is> BOOLEAN */
	SPEC_IN,	/* <in> TEXT: a part of the capability */
	SPEC_ALL_IN,	/* <all-in> WORD WORD …: each a part of it */
	SPEC_OR,	/* <or> TEXT <or> TEXT …: the same as one of them */
	SPEC_EQUAL,	/* == NUMBER */
	SPEC_UNEQUAL,	/* != NUMBER */
	SPEC_AT_LEAST,	/* >= NUMBER, = NUMBER */
	SPEC_AT_MOST,	/* <= NUMBER */
	SPEC_TEXT_EQ,	/* s== TEXT, and the other comparisons of bytes */
	SPEC_TEXT_NE,
	SPEC_TEXT_LT,
	SPEC_TEXT_LE,
	SPEC_TEXT_GT,
	SPEC_TEXT_GE,
};

/* Parsed once, compared with many pools. It borrows the text that it was parsed from. */
struct spec {
	enum spec_op op;
	struct text whole, operand; /* without the blanks at their ends */
	long double number;	    /* of comparisons of numbers */
	int truth;		    /* of SPEC_IS and SPEC_SAME: 0, 1, or -1 for no boolean */
	const char *expected;	    /* NULL, or what the operand should have been: it matches
				     * nothing */
};

/* Elements of a capability that is a list are parted so; no value has this byte. */
#define SPEC_SEPARATOR '\x1f'

/* Never fails: what does not parse matches nothing. */
void spec_parse(struct text t, struct spec *ret);

/* Does a capability with this value satisfy it? Of a list, does any element, and for <all-in>
 * all of them together? */
bool spec_matches(const struct spec *s, struct text value);

/* "is SSD, wanted <in> HDD", to be put behind the capability's name; `value` NULL: the pool
 * does not report it. Long texts are cut. */
void spec_explain(const struct spec *s, const struct text *value, struct buf *out);

/* 1 or 0 for the words that Cinder takes for booleans, in any case; -1 for others. */
int spec_boolean(struct text t);

#endif
