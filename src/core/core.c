/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The life of an intent: applied in the writer, committed, then answered or left waiting. */
#include "core.h"

#include <errno.h>
#include <stdlib.h>

/* The only object that nobody makes: the root of the tree. */
static int make_root(struct change *c, void *arg)
{
	union any root = {.o = {.number = ROOT_OBJECT, .kind = KIND_ROOT, .name = ""}};
	uint8_t key[8];
	struct text record;

	(void)arg;
	key_u64(key, ROOT_OBJECT);
	if (!tx_get(c->tx, TABLE_OBJECTS, (struct text){(char *)key, 8}, &record))
		return 0;
	root.o.inode = (struct inode_state){.mode = root_kind.directory_mode,
					    .uid = c->intent->caller.uid,
					    .gid = c->intent->caller.gid,
					    .atime = c->now,
					    .mtime = c->now};
	root.o.created = c->now;
	return change_save(c, &root);
}

int core_open(struct store *store, const struct conf *conf, struct core **ret, struct error *err)
{
	struct core *core = calloc(1, sizeof(*core));
	int rc;

	if (!core)
		return error_set(err, ENOMEM, "out of memory");
	core->store = store;
	core->conf = conf;
	pthread_rwlock_init(&core->hooks_lock, NULL);
	rc = observed_open(&core->observed);
	if (!rc)
		rc = waiters_start(core);
	if (rc)
		error_set(err, -rc, "cannot start: %s", strerror(-rc));
	else
		rc = core_run(core, make_root, NULL, err);
	if (rc) {
		core_close(core);
		return rc;
	}
	*ret = core;
	return 0;
}

void core_close(struct core *core)
{
	if (!core)
		return;
	core_stop_waiting(core);
	observed_close(core->observed);
	pthread_rwlock_destroy(&core->hooks_lock);
	free(core);
}

void core_set_hooks(struct core *core, const struct core_hooks *hooks)
{
	pthread_rwlock_wrlock(&core->hooks_lock);
	core->hooks = *hooks;
	pthread_rwlock_unlock(&core->hooks_lock);
}

void core_tell(struct core *core, const struct note *notes, size_t n)
{
	pthread_rwlock_rdlock(&core->hooks_lock);
	if (n && core->hooks.changed)
		core->hooks.changed(core->hooks.arg, notes, n);
	pthread_rwlock_unlock(&core->hooks_lock);
}

bool core_kick(struct core *core, uint64_t dock, uint64_t volume, enum kick what)
{
	bool there;

	pthread_rwlock_rdlock(&core->hooks_lock);
	there = core->hooks.kick;
	if (there)
		core->hooks.kick(core->hooks.kick_arg, dock, volume, what);
	pthread_rwlock_unlock(&core->hooks_lock);
	return there;
}

void core_kick_all(struct core *core, struct kicked *kicks, size_t n)
{
	for (size_t i = 0; i < n; i++)
		core_kick(core, kicks[i].dock, kicks[i].volume, KICK_WORK);
	free(kicks);
}

bool core_is_worked(struct core *core)
{
	bool there;

	pthread_rwlock_rdlock(&core->hooks_lock);
	there = core->hooks.kick;
	pthread_rwlock_unlock(&core->hooks_lock);
	return there;
}

struct store *core_store(struct core *core)
{
	return core->store;
}

int check_name(const struct node *container, const char *name, struct error *err)
{
	static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	bool scoped = container && container->flags & NODE_SCOPED;
	const char *c = name;

	while (*c && (strchr(first, *c) || (c > name && strchr(scoped ? "._-:" : "._-", *c))))
		c++;
	if (!*c && c > name && c - name <= NAME_BYTES_MAX)
		return 0;
	return error_set(err, EINVAL,
			 "not a name: expected a letter or digit, then letters, digits, '.', '_'%s "
			 "or '-', at most %d in all",
			 scoped ? ", ':'" : "", NAME_BYTES_MAX);
}

/* The row of a container that users may add to. */
static int writable_container(struct change *c, struct ref ref, const struct node **ret)
{
	struct object_head head;
	const struct node *node;
	int rc = object_get_head(c->tx, ref.object, &head);

	if (rc)
		return rc;
	node = node_of(head.kind, ref.node);
	if (!node || node->type != NODE_CHILDREN || node->fixed)
		return error_set(c->err, EACCES, "nothing can be made here");
	*ret = node;
	return 0;
}

struct count {
	unsigned n, max;
};

static int count_child(void *arg, uint64_t number, struct text name)
{
	struct count *count = arg;

	(void)number, (void)name;
	return ++count->n >= count->max;
}

/* -ENOSPC when a container is as full as it may be. */
static int check_room(struct change *c, struct ref container, const struct node *node)
{
	struct count count = {0, 0};
	int rc;

	if (node->child == KIND_KEY)
		count.max = KEYS_PER_DIRECTORY_MAX;
	else if (node->child == KIND_ATTACHMENT)
		count.max = ATTACHMENTS_PER_VOLUME_MAX;
	else
		return 0;
	rc = object_children(c->tx, container, 0, count_child, &count);
	if (rc == 1)
		return error_set(c->err, ENOSPC, "%s holds %u already, the most it can", node->name,
				 count.max);
	return rc;
}

static int apply_make(struct change *c, struct intent *i)
{
	const struct node *node;
	union any object;
	bool draft = false;
	int rc = writable_container(c, i->subject, &node);

	if (rc)
		return rc;
	rc = draft_check_name(node, i->name, c->err);
	if (!rc)
		rc = check_room(c, i->subject, node);
	if (!rc)
		rc = change_new(c, node->child, i->subject, i->name, i->inode.mode, &object);
	if (!rc)
		rc = draft_begin(c, i, &object, &draft);
	if (!rc && !draft && kinds[node->child]->create)
		rc = kinds[node->child]->create(c, &object);
	if (!rc)
		rc = change_add(c, &object);
	if (rc)
		return rc;
	i->made = (struct ref){object.o.number, node->child == KIND_KEY ? KEY_VALUE : NODE_SELF};
	return change_event(c, "make", i->made, NULL);
}

/* The key that is to be put: the one that is there, or else a new one. */
static int find_or_make_key(struct change *c, struct intent *i, struct ref *ret)
{
	const struct node *node;
	uint64_t number = 0;
	int rc = writable_container(c, i->subject, &node);

	if (rc)
		return rc;
	rc = object_find(c->tx, i->subject, text_of(i->name), &number);
	if (rc == -ENOENT) {
		rc = apply_make(c, i);
		number = i->made.object;
	} else if (!rc && i->no_replace) {
		rc = error_set(c->err, EEXIST, "%s exists already", i->name);
	}
	*ret = (struct ref){number, KEY_VALUE};
	return rc;
}

static int apply_put(struct change *c, struct intent *i)
{
	struct ref ref = i->subject;
	int rc = i->name[0] ? find_or_make_key(c, i, &ref) : 0;

	if (!rc)
		rc = set_attribute(c, ref, i->value);
	return rc || !i->inode_fields ? rc : set_inode(c, ref, i->inode_fields, &i->inode);
}

static int apply_remove(struct change *c, struct intent *i)
{
	const struct node *node;
	union any object;
	int rc = writable_container(c, i->subject, &node);

	if (!rc)
		rc = change_find(c, i->subject, text_of(i->name), node->child, &object);
	if (!rc)
		rc = change_event(c, "remove", SELF(object.o.number), NULL);
	if (rc)
		return rc;
	return kinds[node->child]->remove ? kinds[node->child]->remove(c, &object)
					  : change_delete(c, &object);
}

/* What is in the way of a rename: a key gives way, as files do; an object does not. */
static int replace_key(struct change *c, const struct intent *i, const struct node *node)
{
	union any taken;
	int rc = change_find(c, i->dest, text_of(i->new_name), node->child, &taken);

	if (rc)
		return rc == -ENOENT ? 0 : rc;
	if (node->child != KIND_KEY || i->no_replace)
		return error_set(c->err, EEXIST, "%s exists already", i->new_name);
	return change_delete(c, &taken);
}

static int apply_rename(struct change *c, struct intent *i)
{
	const struct node *node;
	union any object;
	bool draft;
	int rc = writable_container(c, i->subject, &node);

	if (!rc)
		rc = change_find(c, i->subject, text_of(i->name), node->child, &object);
	if (rc)
		return rc;
	draft = object_is_draft(&object);
	rc = draft ? draft_check_name(node, i->new_name, c->err)
		   : check_name(node, i->new_name, c->err);
	if (rc)
		return rc;
	if (!draft && kinds[node->child]->move)
		return kinds[node->child]->move(c, i, &object);
	if (i->subject.object != i->dest.object || i->subject.node != i->dest.node)
		return error_set(c->err, EINVAL, "%s %s stays in its own directory",
				 kinds[node->child]->name, object.o.name);
	if (!strcmp(i->name, i->new_name))
		return 0;
	if (!draft && !kinds[node->child]->rename)
		return error_set(c->err, EPERM, "%s %s cannot be renamed",
				 kinds[node->child]->name, object.o.name);
	rc = replace_key(c, i, node);
	if (!rc)
		rc = change_event(c, "rename", SELF(object.o.number), i->new_name);
	if (rc)
		return rc;
	return draft ? draft_rename(c, &object, i->new_name)
		     : kinds[node->child]->rename(c, &object, i->new_name);
}

/* What is being purged has no place in the tree: only who held it open still knows it. */
static bool is_gone(struct change *c, uint64_t number)
{
	struct object_head head;

	return object_get_head(c->tx, number, &head) ||
	       (number != ROOT_OBJECT && !head.container);
}

static int apply_intent(struct change *c, struct intent *i)
{
	if (is_gone(c, i->subject.object))
		return -ENOENT;
	switch (i->op) {
	case INTENT_MAKE:
		return apply_make(c, i);
	case INTENT_REMOVE:
		return apply_remove(c, i);
	case INTENT_RENAME:
		return apply_rename(c, i);
	case INTENT_SET:
		return set_attribute(c, i->subject, i->value);
	case INTENT_PUT:
		return apply_put(c, i);
	case INTENT_INODE:
		return set_inode(c, i->subject, i->inode_fields, &i->inode);
	case INTENT_REFUSE:
		return -i->err.code;
	}
	return -EINVAL;
}

static int intent_apply(struct tx *tx, struct mutation *m)
{
	struct intent *i = intent_of(m);
	int rc = change_run(i, tx, apply_intent);

	m->lazy = m->lazy && i->wait_object; /* else it is answered as soon as it is committed */
	return rc;
}

/* The object that a refusal is about: the one itself, or the one it was not made in. */
static uint64_t refused_object(struct change *c, const struct intent *i)
{
	uint64_t number;

	if ((i->op == INTENT_REMOVE || i->op == INTENT_RENAME) &&
	    !object_find(c->tx, i->subject, text_of(i->name), &number))
		return number;
	return i->subject.object;
}

/* "mkdir x: why" in last_error (where there is one) and in the audit log. */
static int note_refusal(struct change *c, struct intent *i)
{
	uint64_t number = refused_object(c, i);
	struct object_head head;
	union any object;
	int rc = object_get_head(c->tx, number, &head);

	if (rc)
		return rc;
	rc = change_event(c, "refused",
			  i->op == INTENT_SET || i->op == INTENT_REFUSE ||
					  (i->op == INTENT_PUT && !i->name[0])
				  ? i->subject
				  : SELF(number),
			  i->err.text);
	/* A dock's or a pool's last_error tells of its backend, not of its visitors. */
	if (rc || i->op == INTENT_INODE || head.kind == KIND_ROOT || head.kind == KIND_DOCK ||
	    head.kind == KIND_POOL || head.kind == KIND_KEY || head.kind == KIND_ELIGIBLE)
		return rc;
	rc = change_load(c, number, head.kind, &object);
	if (rc)
		return rc;
	change_set_error(c, &object, text_of(i->err.text));
	return change_store(c, &object);
}

static void intent_refused(struct tx *tx, struct mutation *m)
{
	struct intent *i = intent_of(m);

	if (!i->err.code)
		error_set(&i->err, -m->result, "%s", strerror(-m->result));
	i->n_notes = 0;
	change_run(i, tx, note_refusal);
}

/* Answering may free the intent, so what comes after it is taken out first. */
static void intent_done(struct mutation *m)
{
	struct intent *i = intent_of(m);
	struct core *core = i->core;
	struct note *notes = i->notes;
	size_t n = i->n_notes;
	struct kicked *kicks = i->kicks;
	size_t n_kicks = m->result ? 0 : i->n_kicks;

	i->notes = NULL;
	i->n_notes = 0;
	i->kicks = NULL;
	i->n_kicks = 0;
	if (!m->result && i->wait_object)
		waiters_add(core, i);
	else
		i->answer(i, m->result);
	core_kick_all(core, kicks, n_kicks);
	core_tell(core, notes, n);
	free(notes);
}

void core_submit(struct core *core, struct intent *intent)
{
	intent->core = core;
	intent->mutation = (struct mutation){
		.apply = intent_apply, .refused = intent_refused, .done = intent_done};
	store_submit(core->store, &intent->mutation);
}

static int nothing(struct change *c, void *arg)
{
	(void)c, (void)arg;
	return 0;
}

void core_flush(struct core *core)
{
	core_run(core, nothing, NULL, NULL);
}
