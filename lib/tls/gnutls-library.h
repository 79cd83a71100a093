/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GnuTLS, which only those load who need it: with the ten libraries that it brings, starting the
 * program took three times as long, and each process was twice as large. For this folder's sources
 * only, and for the audit's: all that a header of this folder has loads it by itself, or takes
 * credentials, which have loaded it. */
#ifndef NBDA_TLS_GNUTLS_LIBRARY
#define NBDA_TLS_GNUTLS_LIBRARY
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/pkcs12.h>
#include <gnutls/pkcs7.h>
#include <gnutls/x509-ext.h>
#include <gnutls/x509.h>

/* What older versions have not. */
#if GNUTLS_VERSION_NUMBER >= 0x03080b
#define GNUTLS_PSK_FUNCTIONS(_) _(psk_allocate_client_credentials2)
#else
#define GNUTLS_PSK_FUNCTIONS(_)
#endif

/* What is called of it, without "gnutls_"; and "free", which is a variable. */
#define GNUTLS_FUNCTIONS(_)                                                                        \
	GNUTLS_PSK_FUNCTIONS(_)                                                                    \
	_(alert_get)                                                                               \
	_(alert_get_name)                                                                          \
	_(alert_send)                                                                              \
	_(alert_send_appropriate)                                                                  \
	_(auth_get_type)                                                                           \
	_(base64_decode2)                                                                          \
	_(bye)                                                                                     \
	_(certificate_allocate_credentials)                                                        \
	_(certificate_client_get_request_status)                                                   \
	_(certificate_free_credentials)                                                            \
	_(certificate_get_peers)                                                                   \
	_(certificate_get_trust_list)                                                              \
	_(certificate_get_x509_crt)                                                                \
	_(certificate_set_flags)                                                                   \
	_(certificate_set_x509_crl)                                                                \
	_(certificate_set_x509_key_file2)                                                          \
	_(certificate_set_x509_key_mem2)                                                           \
	_(certificate_set_x509_system_trust)                                                       \
	_(certificate_set_x509_trust_mem)                                                          \
	_(certificate_verification_status_print)                                                   \
	_(certificate_verify_peers)                                                                \
	_(check_version)                                                                           \
	_(cipher_get)                                                                              \
	_(cipher_get_name)                                                                         \
	_(cipher_list)                                                                             \
	_(credentials_set)                                                                         \
	_(deinit)                                                                                  \
	_(error_is_fatal)                                                                          \
	_(ext_raw_parse)                                                                           \
	_(get_system_config_file)                                                                  \
	_(group_get)                                                                               \
	_(group_get_id)                                                                            \
	_(group_get_name)                                                                          \
	_(handshake)                                                                               \
	_(handshake_set_hook_function)                                                             \
	_(handshake_set_timeout)                                                                   \
	_(hash_fast)                                                                               \
	_(idna_map)                                                                                \
	_(init)                                                                                    \
	_(kx_get_id)                                                                               \
	_(kx_get_name)                                                                             \
	_(kx_list)                                                                                 \
	_(pk_get_name)                                                                             \
	_(pkcs12_deinit)                                                                           \
	_(pkcs12_import)                                                                           \
	_(pkcs12_init)                                                                             \
	_(pkcs7_deinit)                                                                            \
	_(pkcs7_import)                                                                            \
	_(pkcs7_init)                                                                              \
	_(pkcs8_info)                                                                              \
	_(priority_cipher_list)                                                                    \
	_(priority_deinit)                                                                         \
	_(priority_init)                                                                           \
	_(priority_protocol_list)                                                                  \
	_(priority_set)                                                                            \
	_(priority_set_direct)                                                                     \
	_(protocol_get_id)                                                                         \
	_(protocol_get_name)                                                                       \
	_(protocol_get_version)                                                                    \
	_(psk_allocate_client_credentials)                                                         \
	_(psk_free_client_credentials)                                                             \
	_(psk_set_client_credentials)                                                              \
	_(pubkey_deinit)                                                                           \
	_(pubkey_export2)                                                                          \
	_(pubkey_import_x509)                                                                      \
	_(pubkey_init)                                                                             \
	_(record_check_pending)                                                                    \
	_(record_get_direction)                                                                    \
	_(record_get_state)                                                                        \
	_(record_recv)                                                                             \
	_(record_send)                                                                             \
	_(record_send2)                                                                            \
	_(safe_renegotiation_status)                                                               \
	_(server_name_set)                                                                         \
	_(session_ext_master_secret_status)                                                        \
	_(session_get_ptr)                                                                         \
	_(session_key_update)                                                                      \
	_(session_set_ptr)                                                                         \
	_(session_set_verify_function)                                                             \
	_(sign_get_id)                                                                             \
	_(sign_get_name)                                                                           \
	_(sign_is_secure2)                                                                         \
	_(sign_list)                                                                               \
	_(strerror)                                                                                \
	_(subject_alt_names_deinit)                                                                \
	_(subject_alt_names_get)                                                                   \
	_(subject_alt_names_init)                                                                  \
	_(transport_set_errno)                                                                     \
	_(transport_set_int2)                                                                      \
	_(transport_set_ptr)                                                                       \
	_(transport_set_pull_function)                                                             \
	_(transport_set_pull_timeout_function)                                                     \
	_(transport_set_push_function)                                                             \
	_(x509_crl_deinit)                                                                         \
	_(x509_crl_get_extension_info)                                                             \
	_(x509_crl_get_issuer_dn3)                                                                 \
	_(x509_crl_get_next_update)                                                                \
	_(x509_crl_get_this_update)                                                                \
	_(x509_crl_import)                                                                         \
	_(x509_crl_init)                                                                           \
	_(x509_crl_list_import2)                                                                   \
	_(x509_crl_verify)                                                                         \
	_(x509_crq_deinit)                                                                         \
	_(x509_crq_import)                                                                         \
	_(x509_crq_init)                                                                           \
	_(x509_crt_check_issuer)                                                                   \
	_(x509_crt_deinit)                                                                         \
	_(x509_crt_get_activation_time)                                                            \
	_(x509_crt_get_dn3)                                                                        \
	_(x509_crt_get_dn_by_oid)                                                                  \
	_(x509_crt_get_expiration_time)                                                            \
	_(x509_crt_get_extension_by_oid2)                                                          \
	_(x509_crt_get_issuer_dn3)                                                                 \
	_(x509_crt_get_pk_algorithm)                                                               \
	_(x509_crt_get_raw_issuer_dn)                                                              \
	_(x509_crt_get_signature_algorithm)                                                        \
	_(x509_crt_import)                                                                         \
	_(x509_crt_init)                                                                           \
	_(x509_ext_import_subject_alt_names)                                                       \
	_(x509_privkey_deinit)                                                                     \
	_(x509_privkey_import2)                                                                    \
	_(x509_privkey_init)                                                                       \
	_(x509_trust_list_get_issuer)                                                              \
	_(x509_trust_list_get_issuer_by_dn)                                                        \
	_(x509_trust_list_iter_deinit)                                                             \
	_(x509_trust_list_iter_get_ca)

#define GNUTLS_MEMBER(name) __typeof__(gnutls_##name) *(name);
struct gnutls_library {
	GNUTLS_FUNCTIONS(GNUTLS_MEMBER)
	__typeof__(gnutls_free) *release;
};
#undef GNUTLS_MEMBER

/* Filled by tls_library_load() of tls/library.h. */
extern struct gnutls_library libgnutls;

/* Memory that GnuTLS gave. */
static inline void gnutls_release(void *memory)
{
	(*libgnutls.release)(memory);
}

#endif
