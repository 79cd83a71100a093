/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A world for a supervisor, without a kernel, a network or time: the whole supervisor runs against
 * a driver that does what docs/kernel-facts.md says, malice included, and servers that hang, die
 * and come back. Everything follows from a seed.
 *
 * world.c has the time, what happens in it, and descriptors; driver.c the nbd driver and who uses
 * the device; netlink.c how it is told; server.c the servers and their connections, sockets.c what
 * these tell; children.c a supervisor's jobs, negotiations.c its negotiations; manager.c the
 * service manager, control.c clients and signals, files.c what is in /run; modules.c what a
 * supervisor only asks; wrap.c the other system calls; weather.c what goes wrong when; check.c is
 * what must never happen; main.c plays one supervisor after the other. */
#ifndef NBDA_SIM
#define NBDA_SIM
#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_NONE (-1)
#define SIM_INDEX 3
#define SIM_BLOCKS 8
#define SIM_HOSTS_MAX 2
#define SIM_LINKS_MAX 4
#define SIM_FD_BASE 1000

/* --- world.c */

extern int64_t sim_now_ms;
void sim_seed(uint64_t seed);
uint32_t sim_draw(void);
unsigned sim_below(unsigned limit);
bool sim_chance(double percent);
/* Short as a rule, and sometimes not. */
int64_t sim_delay_ms(int64_t usual_ms, int64_t longest_ms);

typedef void sim_function(int a, int b);
/* Call FUNCTION then; nothing takes it back. */
void sim_at(int64_t at_ms, sim_function *function, int a, int b);
/* Do all that is due until then, and let it be then. */
void sim_run_until(int64_t until_ms);
int64_t sim_next_ms(void); /* INT64_MAX: nothing is to happen */

enum sim_kind {
	SIM_CLOSED,
	SIM_SOCKET,   /* id: a connection's */
	SIM_PAIR,     /* one of a pair that is no connection */
	SIM_NETLINK,  /* the driver's commands */
	SIM_LISTENER, /* the driver's notices */
	SIM_LOG,
	SIM_CHILD, /* id: a child's */
	SIM_SIGNALS,
	SIM_FILE, /* id: in /run */
};

int sim_open(enum sim_kind kind, int id);
enum sim_kind sim_kind_of(int fd, int *id);
void sim_close(int fd);
/* All that the process had open, when it is no more. */
void sim_close_all(void);
bool sim_has_open(int socket);
bool sim_is_readable(int fd);
bool sim_is_hung_up(int fd);

/* Here the supervisor may be killed. */
void sim_point(void);
/* The supervisor is in its loop, and does something that waits. */
void sim_blocks(const char *what);

extern struct sim_life {
	jmp_buf end;
	bool is_running;
	bool is_in_loop; /* and not in its poll() */
	bool is_in_child;
	int64_t began_ms; /* to supervise */
	bool may_be_killed;
	int64_t kill_at_ms; /* then, or at a later point */
	unsigned kill_after_points;
	unsigned lives;
	bool is_reported;       /* that the device is ready */
	int64_t told_to_end_ms; /* -1: not */
} sim_life;

/* A line of what happened, kept in a ring for when a check fails. */
void sim_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The process ends: with this status, if it is like SIM_WANTED. */
#define SIM_IS_WANTED 2
void sim_violation(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* --- what is set for an episode (weather.c) */

extern struct sim_config {
	unsigned link_count, host_count;
	bool tls, is_unix, is_root, has_manager, has_log, has_sock_diag;
	bool serves_one_connection; /* at a time */
	bool waits_for_size;        /* kernel fact size-freezes-queue */
	int64_t dead_timeout_sec, request_timeout_sec;
	int64_t rekey_records;
	bool auto_resize;
	int notice_loss_percent, slow_driver_percent;
	double clear_percent; /* of connections */
	int liveness_timeout_ms;
} sim_config;
void sim_weather_begin(void);
/* Nothing disturbs since then; INT64_MAX: something does. */
int64_t sim_weather_good_since_ms(void);
void sim_weather_disturb(void);
extern bool sim_weather_is_over;
bool sim_weather_is_shutting_down(void);
bool sim_weather_is_busy(void);
/* The driver has taken a socket. */
void sim_weather_note_hand_over(void);
/* Something is wrong until then. */
void sim_weather_note_bad(int64_t until_ms);

/* --- server.c */

struct sim_socket {
	bool is_used, has_tls, is_pair;
	bool is_other;   /* to another export than the device's */
	int serial;      /* the place of one that is no more may be taken again */
	int host, epoch; /* of the server's process */
	bool is_reset;   /* its other end is gone, and our kernel knows */
	bool is_shut;    /* by us */
	bool is_closed_there;
	int64_t reset_at_ms; /* when the server's side ended; -1 */
	int descriptors, driver_references;
	uint64_t sent_bytes, received_bytes, sent_records, received_records;
	int unread;         /* answers that have come and that nobody read */
	int64_t read_at_ms; /* when the last of these will be */
	int64_t hung_until_ms, shut_at_ms;
	int64_t last_sent_ms, last_received_ms;
	int64_t unacknowledged_since_ms; /* -1: all is */
	bool sends_in_clear, is_refused; /* a kernel that does not encrypt; by the server */
	int64_t clear_since_ms;          /* when it was first used so; 0: not yet */
	uint64_t size_bytes;
	unsigned copies;        /* requests of ours that the server has and owes an answer to */
	unsigned silent_copies; /* of these, such as take long */
};
#define SIM_SOCKETS 4096
extern struct sim_socket sim_sockets[SIM_SOCKETS];

struct sim_host {
	bool is_up;   /* a process listens */
	bool is_hung; /* it does nothing */
	bool is_cut;  /* no packet comes through */
	bool hangs_in_negotiation;
	bool is_other; /* it offers something else now */
	int epoch;
	int64_t hung_until_ms;
	bool ends; /* it answers all with ESHUTDOWN */
};
extern struct sim_host sim_hosts[SIM_HOSTS_MAX];
extern uint64_t sim_export_bytes; /* what the servers offer now */

int sim_connect(int host);
/* Its other end is no more, which our kernel learns after a while. */
void sim_reset(int socket);
void sim_reset_all(int host);
void sim_shut(int socket);
void sim_drop_reference(int socket); /* a descriptor's */
void sim_server_kill(int host);
void sim_server_start(int host);
void sim_server_hang(int host, int64_t for_ms);
/* What serves this connection, and no other. */
void sim_connection_hang(int socket, int64_t for_ms);
void sim_path_cut(int host, int64_t for_ms);
bool sim_path_is_dead(int socket);
/* COPY of a request goes to the server. */
void sim_server_take(int socket, int request, uint64_t cookie);

/* --- driver.c */

enum sim_command { SIM_READ, SIM_WRITE, SIM_FLUSH };
#define SIM_REQUESTS 32

struct sim_request {
	enum { REQUEST_NONE, REQUEST_WAITING, REQUEST_SENT } state;
	enum sim_command command;
	int block;
	uint64_t version; /* to write; or, to read: what must be there at least */
	int slot, socket;
	uint64_t cookie; /* of this sending */
	bool has_failed;
	int64_t begun_ms, sent_ms, waiting_since_ms;
};
extern struct sim_request sim_requests[SIM_REQUESTS];
extern uint64_t sim_storage[SIM_BLOCKS], sim_acknowledged[SIM_BLOCKS];

extern struct sim_driver {
	bool is_configured, is_foreign, has_failed;
	char backend[64];
	unsigned slot_count;
	struct sim_slot {
		int socket;
		bool is_dead, is_dying;
		bool has_receiver;
		int receives_from;
		unsigned generation; /* of the receiver */
	} slots[SIM_LINKS_MAX];
	int64_t dead_timeout_ms, io_timeout_ms;
	uint64_t size_bytes, completed, completed_flushes, served;
	unsigned notices;
	bool are_notices_lost;
	uint64_t error_replies, stuck, receivers_ended; /* as logged */
	int last_error;
	bool log_io_failed, log_disconnect;
	bool may_serve_wrong; /* a real socket came after it had failed */
	uint64_t outages;
} sim_driver;

void sim_driver_begin(void);
void sim_driver_foreign_takes_over(void);

/* A command with its attributes (netlink.c). The driver answers with 0 or -errno. */
struct sim_message {
	char backend[64]; /* "": not given */
	int fds[SIM_LINKS_MAX];
	unsigned fd_count;
	uint64_t size_bytes, dead_timeout_sec;
	bool has_dead_timeout, has_timeout, has_flags;
};
int sim_driver_connect(const struct sim_message *message);
int sim_driver_reconfigure(const struct sim_message *message);
void sim_driver_disconnect(void);
/* Something has changed about a socket: its users may see it. */
void sim_driver_see(int socket);
void sim_answer(int socket, int request, uint64_t cookie, bool is_error);
void sim_use_device(int a, int b); /* by its users, from now on */
void sim_read_once(int request);
bool sim_driver_is_idle(void);
unsigned sim_driver_sent_count(void);
/* A queue is frozen: what is new waits. */
void sim_freeze(bool on);
bool sim_is_nothing_sent(void);
bool sim_log_is_readable(void);

/* --- children.c */

void sim_children_begin(void);
void sim_children_die(void);
bool sim_child_is_readable(int id);

/* --- manager.c */

void sim_manager_forget(void);

/* --- control.c */

void sim_control_begin(void);
void sim_ask(const char *word); /* over the control socket, as a client */
void sim_signal(int number);
int sim_take_signal(void);
bool sim_signal_is_pending(void);

/* --- files.c */

void sim_files_begin(void);

/* --- modules.c */

/* A supervisor begins. */
void sim_modules_begin(void);

/* --- check.c */

void sim_check_begin(void);
void sim_check_socket_given(int socket);
void sim_check_shut(int socket);
void sim_check_sent_in_clear(int socket);
/* A write is executed by a server. */
void sim_check_executed(int block, uint64_t version);
void sim_check_failed_request(int request, const char *why);
void sim_check_time(void);

#endif
