// SPDX-License-Identifier: GPL-2.0-or-later
/* negotiate HOST [EXPORT] | URI [options of `nbd-attach info`]: what `nbd-attach DEVICE` does until
 * the socket would go to the kernel, with a first read and without kernel TLS. Prints one line; the
 * exit status is that of nbd-attach. */
#include "child/negotiation.h"
#include "options/config.h"
#include "output/report.h"
#include <stdio.h>
#include <stdlib.h>

static int negotiate(const struct config *config, struct error *err)
{
	struct tls_credentials *creds = NULL;
	struct negotiation_result result;
	struct negotiation_job job = {
		.kind = NEGOTIATION_ATTACH,
		.endpoint = &config->endpoint,
		.timeout_ms = config->policy.connect_timeout_ms,
		.skip_ktls = true,
	};
	int rc = config_load_credentials(config, &creds, err);

	job.tls = creds;
	if (!rc)
		rc = negotiation_run(&job, &result, err);
	if (!rc)
		printf("negotiated: %s, TLS %s\n", result.address,
			result.tls.version ? tls_version_name(result.tls.version) : "none");
	tls_credentials_free(creds);
	return rc;
}

int main(int argc, char **argv)
{
	struct config *config = calloc(1, sizeof(*config));
	struct options options;
	struct error err = {0};
	int rc = config ? options_parse(&options, argc, argv, FOR_INFO, "info", &err) : -1;

	if (!rc)
		rc = config_from_arguments(config, &options, 0, &err);
	if (!rc)
		rc = negotiate(config, &err);
	free(config);
	return rc ? report_error(&err) : report_finish(0);
}
