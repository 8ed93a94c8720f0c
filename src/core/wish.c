/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a volume or a profile asks of a pool, clause by clause. */
#include "wish.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#define DEFAULT_STORAGE_TYPE TEXT("block")

/* ---- what is asked for ---- */

/*
 * The capability that a key means: "capabilities:a:b" is "a.b". Keys of another scope are
 * for others: false.
 */
static bool unscope(struct text key, char out[NAME_BYTES_MAX + 1])
{
	static const char ours[] = "capabilities:";

	if (text_starts(key, ours)) {
		key.p += sizeof(ours) - 1;
		key.n -= sizeof(ours) - 1;
	} else if (key.n && memchr(key.p, ':', key.n)) {
		return false;
	}
	text_copy(out, NAME_BYTES_MAX + 1, key);
	for (; *out; out++)
		if (*out == ':')
			*out = '.';
	return true;
}

static int grow(struct wish *w)
{
	size_t size = w->size ? 2 * w->size : 8;
	struct want *wants;

	if (w->n < w->size)
		return 0;
	wants = reallocarray(w->wants, size, sizeof(*wants));
	if (!wants)
		return -ENOMEM;
	w->wants = wants;
	w->size = size;
	return 0;
}

struct reading {
	struct tx *tx;
	struct wish *wish;
};

/* A key without a value is not set. */
static int read_spec(void *arg, uint64_t number, struct text name)
{
	struct reading *r = arg;
	struct wish *w = r->wish;
	struct want *want;
	union any key;
	int rc = object_get_kind(r->tx, number, KIND_KEY, &key);

	if (!rc)
		rc = grow(w);
	if (rc || !text_trim(key.o.attr[KEY_VALUE].raw).n)
		return rc;
	want = &w->wants[w->n];
	if (!unscope(name, want->key))
		return 0;
	want->of_multiattach = !strcasecmp(want->key, "multiattach");
	spec_parse(key.o.attr[KEY_VALUE].raw, &want->spec);
	w->n++;
	return 0;
}

int wish_of_profile(struct tx *tx, uint64_t number, struct wish *ret)
{
	struct reading r = {tx, ret};
	union any profile;
	int rc;

	*ret = (struct wish){.storage_type = DEFAULT_STORAGE_TYPE};
	if (!number)
		return 0;
	rc = object_get_kind(tx, number, KIND_PROFILE, &profile);
	if (rc)
		return rc;
	if (profile.profile.storage_type.n)
		ret->storage_type = profile.profile.storage_type;
	return object_children(tx, (struct ref){number, PROFILE_EXTRA_SPECS}, 0, read_spec, &r);
}

int wish_of_volume(struct tx *tx, const struct volume *v, struct wish *ret)
{
	int rc = wish_of_profile(tx, v->profile, ret);

	ret->pool = v->pool_wish;
	ret->zone = v->zone_wish;
	ret->multiattach = v->multiattach;
	return rc;
}

void wish_free(struct wish *w)
{
	free(w->wants);
	w->wants = NULL;
	w->n = w->size = 0;
}

bool wish_is_multiattach(const struct wish *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->wants[i].of_multiattach && spec_matches(&w->wants[i].spec, TEXT("true")) &&
		    !spec_matches(&w->wants[i].spec, TEXT("false")))
			return true;
	return false;
}

/* ---- whether a pool is that ---- */

/* `why` NULL: the first clause that fails decides. */
struct judgement {
	const struct wish *wish;
	const struct pool *pool;
	const struct dock *dock;
	struct buf *why;
	const char *between;
	bool fits;
};

/* Where to say why, or NULL. */
static struct buf *fails(struct judgement *j)
{
	if (j->why && !j->fits)
		buf_str(j->why, j->between);
	j->fits = false;
	return j->why;
}

static void judge_status(struct judgement *j)
{
	struct buf *out;

	if (j->dock->configured && j->dock->status == DOCK_AVAILABLE && j->pool->configured)
		return;
	out = fails(j);
	if (!out)
		return;
	buf_str(out, "it is unavailable");
	if (j->dock->configured && !j->pool->configured)
		buf_str(out, ": it is no longer in the configuration");
	else if (j->dock->o.last_error.n)
		buf_printf(out, ": %.*s", TEXT_ARG(j->dock->o.last_error));
}

static void judge_pool(struct judgement *j)
{
	struct text wish = j->wish->pool;
	struct buf *out;

	if (!wish.n || pool_matches(wish, j->dock->o.name, j->pool->o.name))
		return;
	out = fails(j);
	if (out)
		buf_printf(out, "another pool is wanted: %.*s", TEXT_ARG(wish));
}

static void judge_text(struct judgement *j, const char *name, struct text is, struct text wanted)
{
	struct buf *out;

	if (!wanted.n || text_equal(is, wanted))
		return;
	out = fails(j);
	if (out)
		buf_printf(out, "%s is %.*s, wanted %.*s", name, TEXT_ARG(is), TEXT_ARG(wanted));
}

/* The volume's own wish is not said twice. */
static void judge_multiattach(struct judgement *j)
{
	struct buf *out;

	if (!j->wish->multiattach || j->pool->multiattach || wish_is_multiattach(j->wish))
		return;
	out = fails(j);
	if (out)
		buf_str(out, "multiattach is false, wanted true");
}

static void judge_want(struct judgement *j, const struct want *want)
{
	struct text value = j->pool->multiattach ? TEXT("true") : TEXT("false");
	bool there = want->of_multiattach || capability_find(j->pool, want->key, &value);
	struct buf *out;

	if (there && spec_matches(&want->spec, value))
		return;
	out = fails(j);
	if (!out)
		return;
	buf_printf(out, "%s ", want->of_multiattach ? "multiattach" : want->key);
	spec_explain(&want->spec, there ? &value : NULL, out);
}

static void judge_wants(struct judgement *j)
{
	for (size_t i = 0; i < j->wish->n && (j->why || j->fits); i++)
		judge_want(j, &j->wish->wants[i]);
}

/* The extra specs look at nothing else than this, so the same has the same answer. */
static bool wants_fit(struct wish *w, const struct pool *pool)
{
	struct judgement j = {.wish = w, .pool = pool, .fits = true};

	if (w->last_known && w->last_multiattach == pool->multiattach &&
	    text_equal(w->last_extras, pool->extras))
		return w->last_fits;
	judge_wants(&j);
	w->last_known = true;
	w->last_multiattach = pool->multiattach;
	w->last_extras = pool->extras;
	return w->last_fits = j.fits;
}

bool wish_fits(struct wish *w, const struct pool *pool, const struct dock *dock, bool placed,
	       struct buf *why, const char *between)
{
	struct judgement j = {w, pool, dock, why, between, true};

	if (!placed)
		judge_status(&j);
	judge_pool(&j);
	judge_text(&j, "availability_zone", pool->availability_zone, w->zone);
	judge_text(&j, "storage_type", pool->storage_type, w->storage_type);
	judge_multiattach(&j);
	if (why)
		judge_wants(&j);
	return why ? j.fits : j.fits && wants_fit(w, pool);
}
