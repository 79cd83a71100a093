/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "child/sandbox-calls.h"
#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

const struct calls_filter *calls_find(unsigned purposes)
{
	for (size_t i = 0; i < CALLS_FILTER_COUNT; i++)
		if (calls_filters[i].purposes == purposes)
			return &calls_filters[i];
	return NULL;
}

/* For every thread: a token's module may have begun some before. As seccomp(2), 0 or -1, or which
 * thread cannot be brought under it. */
static long set_filter(const struct sock_fprog *program)
{
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, program);
}

bool calls_can_restrict(void)
{
	return set_filter(NULL) < 0 && errno == EFAULT;
}

int calls_restrict(const struct calls_filter *filter, struct error *err)
{
	struct sock_fprog program = {
		(unsigned short)filter->length, (struct sock_filter *)filter->code};
	long rc = set_filter(&program);

	if (rc == 0)
		return 0;
	if (rc > 0) {
		error_set(err, ERROR_PERMISSION, ESRCH,
			"thread %ld of the negotiator cannot be confined to the system calls it "
			"needs: it has a filter of its own",
			rc);
		return error_hint(err, -ESRCH,
			"the module of a PKCS #11 token has begun it: use certificate and key as "
			"files");
	}
	if (errno == EINVAL || errno == ENOSYS) {
		error_set(err, ERROR_KERNEL, errno,
			"the kernel cannot confine the negotiator: it has no seccomp filters");
		return error_hint(err, -ENOSYS,
			"they are CONFIG_SECCOMP_FILTER, which every distribution's kernel has");
	}
	return error_set(err, ERROR_PERMISSION, errno,
		"the negotiator cannot be confined to the system calls it needs: %s",
		strerror(errno));
}
