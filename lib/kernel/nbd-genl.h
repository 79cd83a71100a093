/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel's nbd driver over generic netlink. The socket that issued CONNECT has to stay open as
 * long as the device lives (kernel fact socket-owns-device): keep the struct nbd_genl. Needs
 * CAP_SYS_ADMIN in the first user namespace. */
#ifndef NBDA_KERNEL_NBD_GENL
#define NBDA_KERNEL_NBD_GENL
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

struct nl_sock;

struct nbd_genl {
	struct nl_sock *sock;
	int family;
};

struct nbd_genl_connect {
	int index; /* -1: a free one */
	uint64_t size_bytes;
	uint32_t block_size_bytes;
	uint64_t server_flags;          /* transmission flags, as the server gave them */
	uint64_t dead_conn_timeout_sec; /* how long requests wait for a link; 0: they fail */
	/* has to be given again with every reconfigure (kernel fact identifier-required) */
	const char *backend_identifier;
	/* every connection at once (kernel fact sockets-at-connect); the kernel takes its own
	 * references */
	const int *fds;
	size_t fd_count;
	/* with the DISCONNECT the device itself goes, and comes back as new with the next CONNECT
	 * of its index */
	bool remove_after;
};

/* -ENOENT (ERROR_KERNEL) when the driver is not loaded. */
int nbd_genl_open(struct nbd_genl *genl, struct error *err);
void nbd_genl_close(struct nbd_genl *genl);
/* CONNECT; INDEX receives the device's. */
int nbd_genl_connect(struct nbd_genl *genl, const struct nbd_genl_connect *params, int *index,
	struct error *err);
struct nbd_genl_reconfigure {
	int index;
	/* the one of CONNECT, or the kernel says EINVAL (kernel fact identifier-required) */
	const char *backend_identifier;
	/* for a slot whose socket is dead; -1: none. Success does not prove that it was taken
	 * (kernel fact slot-taken) */
	int fd;
	bool set_dead_conn_timeout;
	uint64_t dead_conn_timeout_sec;
	/* 0: as it is. For a device that nobody supervises any more: the driver then closes a link
	 * by itself, and the queue's io_timeout is reset (kernel fact timeout-attribute) */
	uint64_t timeout_sec;
	/* 0: as it is. Alone in its message, and only while nothing is in flight
	 * (kernel fact size-freezes-queue) */
	uint64_t size_bytes;
};

/* RECONFIGURE, of a device whose backend identifier is the one given and no other: where none was
 * set the driver compares nothing (kernel fact identifier-compared), so /sys is checked before
 * and afterwards: a socket that has gone to another's device is shut. -ENOTCONN (ERROR_BUSY) when
 * the device is not configured any more, or was disconnected and is only held open. */
int nbd_genl_reconfigure(
	struct nbd_genl *genl, const struct nbd_genl_reconfigure *params, struct error *err);

/* A socket of its own that hears LINK_DEAD notices (group nbd_mc_group; first network namespace
 * only: elsewhere nothing is ever heard). Non-blocking; poll nbd_genl_listener_fd() for POLLIN. */
int nbd_genl_listen(struct nbd_genl *listener, struct error *err);
int nbd_genl_listener_fd(const struct nbd_genl *listener);
/* Read all that is there. Returns how many notices were for INDEX; -ENOBUFS when some were lost,
 * with the reading finished. */
int nbd_genl_read_notices(struct nbd_genl *listener, int index);
/* Take over an open netlink socket (the one that issued CONNECT, handed on by a former supervisor).
 * FD is owned on success. */
int nbd_genl_adopt(struct nbd_genl *genl, int fd, struct error *err);
int nbd_genl_fd(const struct nbd_genl *genl);

/* DISCONNECT, as long as the device has this backend identifier; else -ENOTCONN (ERROR_BUSY). The
 * driver itself compares nothing, so what happens between the check and the message is not seen. */
int nbd_genl_disconnect_own(
	struct nbd_genl *genl, int index, const char *backend, struct error *err);
/* DISCONNECT, whose ever it is. The device is gone when block_is_configured() says so, not when
 * this returns. */
int nbd_genl_disconnect(struct nbd_genl *genl, int index, struct error *err);
/* With ON the driver itself disconnects the device when the last one who has it open closes it
 * (kernel fact disconnect-on-close); without, no longer. BACKEND is what the device shows, or NULL.
 * Raw: 0 or the kernel's -errno; -EINVAL also for a device that netlink did not configure. */
int nbd_genl_disconnect_on_close(struct nbd_genl *genl, int index, const char *backend, bool on);

#endif
