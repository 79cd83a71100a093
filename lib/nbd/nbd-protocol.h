/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers of the NBD protocol (doc/proto.md of the NBD project), by its own names. */
#ifndef NBDA_NBD_NBD_PROTOCOL
#define NBDA_NBD_NBD_PROTOCOL

#define NBD_MAGIC 0x4e42444d41474943ULL        /* "NBDMAGIC" */
#define NBD_OPTION_MAGIC 0x49484156454f5054ULL /* "IHAVEOPT" */
#define NBD_OLD_MAGIC 0x0000420281861253ULL    /* oldstyle negotiation's second magic */
#define NBD_OPTION_REPLY_MAGIC 0x0003e889045565a9ULL
#define NBD_SIMPLE_REPLY_MAGIC 0x67446698U
#define NBD_STRUCTURED_REPLY_MAGIC 0x668e33efU
#define NBD_EXTENDED_REPLY_MAGIC 0x6e8a278cU
#define NBD_REQUEST_MAGIC_ 0x25609513U

/* "A client SHOULD NOT send" a string longer than this. */
#define EXPORT_NAME_MAX 4096

/* Handshake flags; the client's answer uses the same two bits. */
#define NBD_HANDSHAKE_FIXED_NEWSTYLE (1U << 0)
#define NBD_HANDSHAKE_NO_ZEROES (1U << 1)

enum {
	NBD_OPT_EXPORT_NAME = 1,
	NBD_OPT_ABORT = 2,
	NBD_OPT_LIST = 3,
	NBD_OPT_STARTTLS = 5,
	NBD_OPT_INFO = 6,
	NBD_OPT_GO = 7,
};

enum {
	NBD_REP_ACK = 1,
	NBD_REP_SERVER = 2,
	NBD_REP_INFO = 3,
};

#define NBD_REP_FLAG_ERROR (1U << 31)
#define NBD_REP_ERR_UNSUP (NBD_REP_FLAG_ERROR | 1)
#define NBD_REP_ERR_POLICY (NBD_REP_FLAG_ERROR | 2)
#define NBD_REP_ERR_INVALID (NBD_REP_FLAG_ERROR | 3)
#define NBD_REP_ERR_PLATFORM (NBD_REP_FLAG_ERROR | 4)
#define NBD_REP_ERR_TLS_REQD (NBD_REP_FLAG_ERROR | 5)
#define NBD_REP_ERR_UNKNOWN (NBD_REP_FLAG_ERROR | 6)
#define NBD_REP_ERR_SHUTDOWN (NBD_REP_FLAG_ERROR | 7)
#define NBD_REP_ERR_BLOCK_SIZE_REQD (NBD_REP_FLAG_ERROR | 8)
#define NBD_REP_ERR_TOO_BIG (NBD_REP_FLAG_ERROR | 9)
#define NBD_REP_ERR_EXT_HEADER_REQD (NBD_REP_FLAG_ERROR | 10)

enum {
	NBD_INFO_EXPORT = 0,
	NBD_INFO_NAME = 1,
	NBD_INFO_DESCRIPTION = 2,
	NBD_INFO_BLOCK_SIZE = 3,
};

/* Transmission flags. */
#define NBD_TFLAG_HAS_FLAGS (1U << 0)
#define NBD_TFLAG_READ_ONLY (1U << 1)
#define NBD_TFLAG_SEND_FLUSH (1U << 2)
#define NBD_TFLAG_SEND_FUA (1U << 3)
#define NBD_TFLAG_ROTATIONAL (1U << 4)
#define NBD_TFLAG_SEND_TRIM (1U << 5)
#define NBD_TFLAG_SEND_WRITE_ZEROES (1U << 6)
#define NBD_TFLAG_SEND_DF (1U << 7)
#define NBD_TFLAG_CAN_MULTI_CONN (1U << 8)

#define NBD_COMMAND_READ 0

/* Errors in a simple reply. */
#define NBD_EIO 5
#define NBD_ESHUTDOWN 108

#endif
