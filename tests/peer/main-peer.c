// SPDX-License-Identifier: GPL-2.0-or-later
/* peer [--certs DIR] [--priority STRING] [--scenario WORD] [--export NAME] [--description TEXT]
 * [--tls-required]: the scripted server for tests of the command line. Prints its port (127.0.0.1)
 * and serves until it is killed, one process a connection. */
#include "scenarios.h"
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct option options[] = {
	{"certs", required_argument, NULL, 'c'},
	{"priority", required_argument, NULL, 'p'},
	{"scenario", required_argument, NULL, 's'},
	{"export", required_argument, NULL, 'e'},
	{"description", required_argument, NULL, 'd'},
	{"tls-required", no_argument, NULL, 'r'},
	{NULL, 0, NULL, 0},
};

static bool parse(int argc, char **argv, struct peer_config *config)
{
	const struct scenario *scenario;
	bool required = false;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			config->credentials = peer_load_credentials(optarg);
			if (!config->credentials)
				return false;
			break;
		case 'p': config->priority = optarg; break;
		case 's':
			scenario = scenario_find(optarg);
			if (!scenario) {
				fprintf(stderr, "peer: no scenario %s\n", optarg);
				return false;
			}
			*config = scenario->peer;
			break;
		case 'e': config->export_name = optarg; break;
		case 'd': config->description = optarg; break;
		case 'r': required = true; break;
		default: return false;
		}
	}
	config->tls_required |= required;
	if (!config->export_name)
		config->export_name = TRIAL_EXPORT;
	if (!config->description)
		config->description = TRIAL_DESCRIPTION;
	return optind == argc;
}

int main(int argc, char **argv)
{
	struct peer_shared *shared = trial_shared_new();
	struct peer_config config = {0};
	uint16_t port;
	int listen_fd;

	if (!shared || !parse(argc, argv, &config))
		return 2;
	listen_fd = trial_listen(&port);
	if (listen_fd < 0)
		return 1;
	signal(SIGCHLD, SIG_IGN);
	printf("%u\n", port);
	fflush(stdout);
	for (;;) {
		int fd = accept(listen_fd, NULL, NULL);

		if (fd >= 0 && fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			peer_serve(fd, &config, shared);
			_exit(0);
		}
		close(fd);
	}
}
