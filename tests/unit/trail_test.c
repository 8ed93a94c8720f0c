/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The audit log: every line is an object of JSON, whatever it tells of. */
#include "../lib/fixture.h"

#include <jansson.h>

/* The last line; to be freed by json_decref(). */
static json_t *last_event(struct fixture *f)
{
	const char *all = fixture_events(f), *end = all + strlen(all), *line = end - 1;
	json_error_t error;
	json_t *event;

	assert_true(end > all && end[-1] == '\n');
	while (line > all && line[-1] != '\n')
		line--;
	event = json_loadb(line, (size_t)(end - line), 0, &error);
	if (!event)
		fail_msg("%s in %s", error.text, line);
	return event;
}

static void expect(json_t *event, const char *key, const char *value)
{
	assert_string_equal(json_string_value(json_object_get(event, key)) ?: "", value);
}

static void test_detail_comes_through(void **state)
{
	static const char *const values[] = {"plain", "a \"quoted\\\" one", "\\", "two\ttabs\t.",
					     "\xc3\xa9\xe2\x82\xac/\x7f", "\"", "{}"};
	struct fixture *f = *state;

	fixture_volume(f, "v", false, "many", "1G\n");
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		json_t *event;
		int rc = fixture_write(f, "volumes/v/description", values[i]);

		event = last_event(f);
		expect(event, "event", rc ? "refused" : "set");
		expect(event, "path", "volumes/v/description");
		if (!rc)
			expect(event, "detail", values[i]);
		assert_int_equal(json_integer_value(json_object_get(event, "pid")), getpid());
		assert_true(json_is_string(json_object_get(event, "time")));
		json_decref(event);
	}
}

static void test_nothing_to_say(void **state)
{
	struct fixture *f = *state;
	json_t *event;

	assert_int_equal(fixture_mkdir(f, "volumes/v"), 0);
	event = last_event(f);
	expect(event, "event", "make");
	expect(event, "path", "volumes/v");
	assert_null(json_object_get(event, "detail"));
	json_decref(event);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_detail_comes_through, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_nothing_to_say, fixture_setup,
						fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
