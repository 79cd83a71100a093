// SPDX-License-Identifier: GPL-2.0-or-later
/* vulnerable --certs DIR --hole NAME [OPTIONS]: prints its port (127.0.0.1) and serves until it is
 * killed, a process a connection.
 * --idle-time MS: hangs up on a client that is silent for so long
 * --one-at-a-time: one connection after the other
 * --at-most N: connections; more are closed at once
 * --slow-read MS: says "read" on stderr, and answers so much later
 * --serves N: connections; on others it hangs up after the greeting
 * --selective: TLS is required for the export alone (SELECTIVETLS)
 * --optional: TLS is not required
 * vulnerable --holes: each hole, and the probe that finds it. */
#include "server.h"
#include <arpa/inet.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct option options[] = {
	{"certs", required_argument, NULL, 'c'},
	{"hole", required_argument, NULL, 'h'},
	{"idle-time", required_argument, NULL, 'i'},
	{"one-at-a-time", no_argument, NULL, 'o'},
	{"at-most", required_argument, NULL, 'm'},
	{"serves", required_argument, NULL, 'n'},
	{"slow-read", required_argument, NULL, 'r'},
	{"selective", no_argument, NULL, 's'},
	{"optional", no_argument, NULL, 't'},
	{"holes", no_argument, NULL, 'l'},
	{NULL, 0, NULL, 0},
};

static int list_holes(void)
{
	for (size_t i = 0; i < hole_count; i++)
		printf("%s %s\n", holes[i].name, holes[i].probe);
	return 0;
}

static bool load(struct server *server, const struct hole *hole, const char *dir)
{
	char cert[512], key[512];
	int rc;

	snprintf(cert, sizeof(cert), "%s/%s/server-cert.pem", dir, hole->certs ? hole->certs : ".");
	snprintf(key, sizeof(key), "%s/%s/server-key.pem", dir, hole->certs ? hole->certs : ".");
	rc = gnutls_certificate_allocate_credentials(&server->credentials);
	if (rc >= 0)
		rc = gnutls_certificate_set_x509_key_file(
			server->credentials, cert, key, GNUTLS_X509_FMT_PEM);
	if (rc < 0)
		fprintf(stderr, "%s: %s\n", cert, gnutls_strerror(rc));
	return rc >= 0;
}

static int listen_somewhere(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&sin, size) < 0 || listen(fd, 64) < 0 ||
		getsockname(fd, (struct sockaddr *)&sin, &size) < 0)
		return -1;
	printf("%u\n", ntohs(sin.sin_port));
	fflush(stdout);
	return fd;
}

static void serve_one_at_a_time(const struct server *server, int listen_fd)
{
	for (;;) {
		struct server now = *server;

		now.fd = accept(listen_fd, NULL, NULL);
		if (now.fd >= 0)
			server_run(&now);
		if (now.tls)
			gnutls_deinit(now.tls);
		close(now.fd);
	}
}

static void serve(struct server *server, int listen_fd, int at_most, int serves)
{
	for (int count = 0;;) {
		server->fd = accept(listen_fd, NULL, NULL);
		server->tired = --serves < 0;
		while (waitpid(-1, NULL, WNOHANG) > 0)
			count--;
		if (server->fd >= 0 && count < at_most && ++count && fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			close(listen_fd);
			server_run(server);
			_exit(0);
		}
		close(server->fd);
	}
}

int main(int argc, char **argv)
{
	static struct server server;
	const struct hole *hole = NULL;
	const char *certs = NULL;
	bool alone = false;
	int at_most = INT_MAX, serves = INT_MAX, c, fd;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'c': certs = optarg; break;
		case 'h': hole = hole_find(optarg); break;
		case 'i': server.idle_ms = atoi(optarg); break;
		case 'o': alone = true; break;
		case 'm': at_most = atoi(optarg); break;
		case 'n': serves = atoi(optarg); break;
		case 'r': server.slow_read_ms = atoi(optarg); break;
		case 's': server.selective = true; break;
		case 't': server.optional = true; break;
		case 'l': return list_holes();
		default: return 2;
		}
	}
	if (!hole || !certs || !load(&server, hole, certs))
		return 2;
	server.hole = hole->kind;
	server.optional |= hole->kind == HOLE_OPTIONAL;
	server.priority = hole->priority;
	signal(SIGPIPE, SIG_IGN);
	fd = listen_somewhere();
	if (fd >= 0 && alone)
		serve_one_at_a_time(&server, fd);
	if (fd >= 0)
		serve(&server, fd, at_most, serves);
	return 1;
}
