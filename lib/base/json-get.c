/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/json-get.h"
#include "base/text.h"

json_object *json_get(json_object *object, const char *key)
{
	json_object *value = NULL;

	return json_object_object_get_ex(object, key, &value) ? value : NULL;
}

struct text json_get_text(json_object *object, const char *key)
{
	json_object *value = json_get(object, key);
	struct text text = {""};

	if (json_object_is_type(value, json_type_string))
		text_sanitise(text.s, sizeof(text.s), json_object_get_string(value),
			(size_t)json_object_get_string_len(value));
	return text;
}

bool json_get_string(json_object *object, const char *key, char *buf, size_t size)
{
	json_object *value = json_get(object, key);

	if (json_object_is_type(value, json_type_string) &&
		text_copy(buf, size, json_object_get_string(value)))
		return true;
	*buf = 0;
	return false;
}

bool json_get_number(json_object *object, const char *key, int64_t *number)
{
	json_object *value = json_get(object, key);

	if (!json_object_is_type(value, json_type_int))
		return false;
	*number = json_object_get_int64(value);
	return *number >= 0;
}

int64_t json_get_number_or_0(json_object *object, const char *key)
{
	int64_t number;

	return json_get_number(object, key, &number) ? number : 0;
}

bool json_get_true(json_object *object, const char *key)
{
	json_object *value = json_get(object, key);

	return json_object_is_type(value, json_type_boolean) && json_object_get_boolean(value);
}
