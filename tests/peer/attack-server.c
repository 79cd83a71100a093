// SPDX-License-Identifier: GPL-2.0-or-later
#include "attack.h"
#include "base/cleanup.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* A client without TLS 1.3 is attacked in TLS 1.2. */
#define BOTH_VERSIONS "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

static void serve(int fd, const struct attack *attack, const struct attack_server *server,
	uint16_t backend_port)
{
	struct mitm_config config = attack->mitm;
	int backend_fd;

	if (!backend_port) {
		peer_serve(fd, &attack->peer, server->shared);
		return;
	}
	server->path_shared->connections++;
	config.server = server->shared;
	config.tape = attack->tape ? server->tape : NULL;
	backend_fd = trial_connect(backend_port);
	if (backend_fd >= 0)
		mitm_run(fd, backend_fd, &config, server->path_shared);
	close(backend_fd);
}

/* BACKEND_PORT 0: the server; else the man in the middle before the server of that port. */
static pid_t start(int listen_fd, const struct attack *attack, const struct attack_server *server,
	uint16_t backend_port)
{
	pid_t pid = fork();
	int on = 1;

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_IGN);
	signal(SIGTERM, SIG_DFL);
	for (;;) {
		int fd = accept(listen_fd, NULL, NULL);

		if (fd < 0)
			_exit(1);
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			close(listen_fd);
			serve(fd, attack, server, backend_port);
			_exit(0);
		}
		close(fd);
	}
}

static bool share_memory(struct attack_server *server)
{
	server->shared = trial_shared_new();
	server->path_shared = trial_shared_new();
	server->tape = mmap(NULL, sizeof(*server->tape), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return server->shared && server->path_shared && server->tape != MAP_FAILED;
}

/* PSK_FILE is kept by the configuration. */
static bool configure(struct peer_config *peer, const struct attack *attack, const char *certs,
	char *psk_file, size_t psk_file_size)
{
	char dir[512];

	snprintf(
		dir, sizeof(dir), "%s/%s", certs, attack->server_certs ? attack->server_certs : "");
	peer->credentials = peer_load_credentials(dir);
	if (attack->server_psk) {
		snprintf(psk_file, psk_file_size, "%s/%s/keys.psk", certs, attack->server_psk);
		peer->psk_file = psk_file;
		peer->priority = BOTH_VERSIONS ":-KX-ALL:+ECDHE-PSK:+DHE-PSK";
	}
	peer->export_name = TRIAL_EXPORT;
	if (!peer->description)
		peer->description = TRIAL_DESCRIPTION;
	if (!peer->priority)
		peer->priority = BOTH_VERSIONS;
	return peer->credentials != NULL;
}

bool attack_server_start(
	struct attack_server *server, const struct attack *attack, const char *certs, uint16_t port)
{
	struct attack configured = *attack;
	_cleanup_fd_ int server_fd = -1, path_fd = -1;
	char psk_file[512];
	uint16_t server_port;

	memset(server, 0, sizeof(*server));
	if (!share_memory(server) ||
		!configure(&configured.peer, attack, certs, psk_file, sizeof(psk_file)))
		return false;
	server_fd = trial_listen_at(attack->on_path ? 0 : port, &server_port);
	if (server_fd < 0)
		return false;
	server->port = server_port;
	server->server = start(server_fd, &configured, server, 0);
	if (attack->on_path) {
		path_fd = trial_listen_at(port, &server->port);
		server->path = path_fd < 0 ? -1 : start(path_fd, &configured, server, server_port);
	}
	gnutls_certificate_free_credentials(configured.peer.credentials);
	return server->server > 0 && (!attack->on_path || server->path > 0);
}

static void stop(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

void attack_server_stop(struct attack_server *server)
{
	stop(server->path);
	stop(server->server);
	munmap(server->shared, sizeof(*server->shared));
	munmap(server->path_shared, sizeof(*server->path_shared));
	munmap(server->tape, sizeof(*server->tape));
}
