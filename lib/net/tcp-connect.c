/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net/tcp-connect.h"
#include "net/tcp-race.h"
#include "base/clock.h"
#include "base/cleanup.h"
#include "base/closed-path.h"
#include "base/text.h"
#include "tls/names.h"
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Linux takes no more for TCP_KEEPIDLE and TCP_KEEPINTVL. */
#define KEEPALIVE_MAX_SEC 32767
#define KEEPALIVE_PROBES 3

/* One tcp_connect() under way. */
struct search {
	const struct tcp_connect_params *params;
	struct connection *connection;
	size_t hosts_left; /* with the one that is being tried */
	size_t tried;      /* addresses */
	int rc;            /* of the last failure, which ERR tells */
	struct error *err;
};

void tcp_format_address(const struct sockaddr *address, socklen_t length, char *buf, size_t size)
{
	char host[INET6_ADDRSTRLEN + 16], port[8];

	if (getnameinfo(address, length, host, sizeof(host), port, sizeof(port),
		    NI_NUMERICHOST | NI_NUMERICSERV))
		snprintf(buf, size, "?");
	else
		snprintf(buf, size, address->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host,
			port);
}

bool tcp_may_be_host(const struct endpoint_host *host, const struct sockaddr_storage *address)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
	bool is_v4 = address->ss_family == AF_INET;
	struct in_addr number4;
	struct in6_addr number6;

	if ((!is_v4 && address->ss_family != AF_INET6) ||
		ntohs(is_v4 ? v4->sin_port : v6->sin6_port) != host->port)
		return false;
	if (inet_pton(AF_INET, host->name, &number4) == 1)
		return is_v4 && memcmp(&number4, &v4->sin_addr, sizeof(number4)) == 0;
	if (inet_pton(AF_INET6, host->name, &number6) == 1)
		return !is_v4 && memcmp(&number6, &v6->sin6_addr, sizeof(number6)) == 0;
	return true;
}

static int not_resolved(const struct endpoint_host *host, int rc, struct error *err)
{
	error_set(err, ERROR_UNREACHABLE, EHOSTUNREACH, "cannot resolve host name \"%s\": %s",
		host->name, rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
	error_hint(err, 0,
		strchr(host->name, '%') ?
			"is what follows the %% an interface of this machine?" :
			"check the name, /etc/hosts and /etc/resolv.conf, or give the address");
	return error_retry(err, -EHOSTUNREACH);
}

static int not_connected(
	const struct endpoint_host *host, const char *address, int rc, struct error *err)
{
	error_set(err, ERROR_UNREACHABLE, -rc, "cannot connect to %s%s%s%s: %s", host->name,
		strcmp(address, "") ? " (" : "", address, strcmp(address, "") ? ")" : "",
		strerror(-rc));
	if (rc == -ECONNREFUSED)
		error_hint(err, rc,
			"no NBD server listens there: is it running, and is the port right (10809 "
			"is NBD's)?");
	else if (rc == -ENETUNREACH || rc == -EHOSTUNREACH)
		error_hint(err, rc,
			"no way leads there: check the address and this machine's network (ip "
			"route "
			"get %s)",
			host->name);
	else if (rc == -EINVAL && strncasecmp(host->name, "fe80:", 5) == 0)
		error_hint(err, rc,
			"such an address is one of a link: say of which interface, as in %s%%eth0",
			host->name);
	else
		error_hint(err, rc,
			"nothing answers there: check the address, routes and firewalls between "
			"here and the server");
	return error_retry(err, rc);
}

/* 0 when one of LIST answers. The time is shared out from now on, since the resolver may have taken
 * more than its host's share. */
static int try_addresses(struct search *search, size_t index, const struct addrinfo *list)
{
	const struct tcp_connect_params *params = search->params;
	const struct endpoint_host *host = &params->endpoint->hosts[index];
	struct connection *connection = search->connection;
	int64_t now_ms = monotonic_now_ms(),
		share_ms = (params->deadline_ms - now_ms) / (int64_t)search->hosts_left;
	struct tcp_race race = {.deadline_ms = now_ms + share_ms,
		.attempt_ms = params->short_timeout ? TCP_CONNECT_SHORT_TIMEOUT_MS : share_ms};
	_cleanup_free_ const struct addrinfo **addresses = NULL;
	const struct addrinfo *ai;
	size_t at;

	for (race.count = 1, ai = list; ai->ai_next; ai = ai->ai_next) /* never none */
		race.count++;
	addresses = calloc(race.count, sizeof(void *));
	if (!addresses)
		return search->rc = error_set(search->err, ERROR_OTHER, ENOMEM, "out of memory");
	at = race.count - params->first / params->endpoint->host_count % race.count;
	for (ai = list; ai; ai = ai->ai_next)
		addresses[at++ % race.count] = ai;
	race.addresses = addresses;
	search->rc = tcp_race(&race);
	search->tried += race.tried;
	tcp_format_address(addresses[race.at]->ai_addr, addresses[race.at]->ai_addrlen,
		connection->address, sizeof(connection->address));
	if (search->rc)
		return not_connected(host, connection->address, search->rc, search->err);
	connection->fd = race.fd;
	connection->host_index = index;
	return 0;
}

static int try_host(struct search *search, size_t index)
{
	const struct endpoint_host *host = &search->params->endpoint->hosts[index];
	const struct known_address *known =
		search->params->known ? &search->params->known[index] : NULL;
	struct addrinfo hints = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *list = NULL, last = {0};
	char port[8], name[256];
	int rc = EAI_NONAME;

	snprintf(port, sizeof(port), "%u", host->port);
	/* glibc's AI_IDN would load a library, which a negotiator may not */
	if (tls_names_to_ascii(host->name, name, sizeof(name)))
		rc = getaddrinfo(name, port, &hints, &list);
	if (rc == 0) {
		rc = try_addresses(search, index, list);
		freeaddrinfo(list);
		return rc;
	}
	if (!known || !known->length)
		return search->rc = not_resolved(host, rc, search->err);
	last.ai_family = known->address.ss_family;
	last.ai_addr = (struct sockaddr *)&known->address;
	last.ai_addrlen = known->length;
	return try_addresses(search, index, &last);
}

int tcp_connect(
	const struct tcp_connect_params *params, struct connection *connection, struct error *err)
{
	struct search search = {.params = params, .connection = connection, .err = err};
	size_t count = params->only_first ? 1 : params->endpoint->host_count;

	for (search.hosts_left = count; search.hosts_left; search.hosts_left--)
		if (try_host(&search,
			    (params->first + count - search.hosts_left) %
				    params->endpoint->host_count) == 0)
			return 0;
	if (count > 1)
		error_prefix(err, "none of %zu hosts (%zu addresses tried) answered, the last",
			count, search.tried);
	else if (search.tried > 1)
		error_prefix(err, "none of %zu addresses answered, the last", search.tried);
	return search.rc;
}

int tcp_set_liveness(int fd, int timeout_ms, struct error *err)
{
	int timeout_sec = timeout_ms / 1000, idle_sec = timeout_sec / 2,
	    interval_sec = (timeout_sec - idle_sec) / KEEPALIVE_PROBES;
	const struct {
		int level, option, value;
	} options[] = {
		{SOL_SOCKET, SO_KEEPALIVE, 1},
		{IPPROTO_TCP, TCP_KEEPIDLE,
			idle_sec < 1                         ? 1 :
				idle_sec > KEEPALIVE_MAX_SEC ? KEEPALIVE_MAX_SEC :
							       idle_sec},
		{IPPROTO_TCP, TCP_KEEPINTVL,
			interval_sec < 1                         ? 1 :
				interval_sec > KEEPALIVE_MAX_SEC ? KEEPALIVE_MAX_SEC :
								   interval_sec},
		{IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		int rc = tcp_set_option(fd, options[i].level, options[i].option, options[i].value);

		if (rc)
			return error_set(err, ERROR_OTHER, -rc,
				"the connection takes no keepalive of %d ms: %s", timeout_ms,
				strerror(-rc));
	}
	return 0;
}

int unix_connect(const struct endpoint *endpoint, struct connection *connection, struct error *err)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int saved;

	connection->host_index = 0;
	snprintf(
		connection->address, sizeof(connection->address), "unix:%s", endpoint->socket_path);
	if (fd < 0)
		return error_set(err, ERROR_OTHER, errno, "socket: %s", strerror(errno));
	if (!text_copy(sun.sun_path, sizeof(sun.sun_path), endpoint->socket_path))
		return error_set(err, ERROR_USAGE, ENAMETOOLONG, "socket path is too long: %s",
			endpoint->socket_path);
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0) {
		saved = errno;
		error_set(err, ERROR_UNREACHABLE, saved, "cannot connect to unix socket %s: %s",
			endpoint->socket_path, strerror(saved));
		if (saved == ECONNREFUSED || saved == ENOENT)
			error_hint(err, 0, "is the server running, and is this its socket?");
		closed_path_hint(err, -saved, endpoint->socket_path);
		return error_retry(err, -saved);
	}
	connection->fd = steal_fd(&fd);
	return 0;
}
