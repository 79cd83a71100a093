/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/opening.h"
#include "child/probe.h"
#include "kernel/block-attr.h"
#include "supervisor/configure.h"
#include "supervisor/first-links.h"
#include <errno.h>

/* The read also makes the kernel look for partitions, as any first opening of the device does. */
static int prove(struct attachment *attachment, struct error *err)
{
	struct probe probe = attachment_probe(attachment);
	bool any = false;
	int rc = probe_run(&probe, attachment->policy.connect_timeout_ms, err);

	for (size_t i = 0; rc == 0 && i < attachment->link_count; i++) {
		rc = link_prove(&attachment->links[i], err);
		any = any || attachment->links[i].proven;
	}
	if (!rc && !any)
		rc = error_set(err, ERROR_KERNEL, EPROTO,
			"a read through /dev/nbd%d moved no TLS record: encryption is not proven",
			attachment->index);
	return rc;
}

int opening_run(
	struct attachment *attachment, int index, struct control *control, struct error *err)
{
	struct error ignored;
	int rc = attachment_load_modules(attachment, err);

	attachment->index = -1;
	if (!rc)
		rc = nbd_genl_open(&attachment->genl, err);
	/* without the lock: it was so when we came */
	if (!rc && index >= 0 && (control->lock_fd < 0 || block_is_configured(index)))
		rc = error_attached(err, index);
	if (!rc)
		rc = first_links_negotiate(attachment, index, err);
	if (!rc)
		rc = configure_choose_geometry(attachment, err);
	backend_id_format(&attachment->endpoint, attachment->backend);
	if (!rc)
		rc = configure_device(attachment, index, control, err);
	if (!rc)
		rc = prove(attachment, err);
	if (rc) {
		if (attachment->configured)
			nbd_genl_disconnect_own(&attachment->genl, attachment->index,
				attachment->backend, &ignored);
		attachment->configured = false; /* it may be somebody else's any moment */
		attachment_close(attachment);
	}
	return rc;
}
