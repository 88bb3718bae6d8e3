import type { Config } from "../config/load.ts";
import { tlsFilesOf } from "../config/public-url.ts";
import { noteCertificate } from "../http/tls.ts";
import type { Parts } from "./parts.ts";

/** Takes over the settings that may change while the server runs, and a renewed certificate. */
export function reload({ base, core, http: { listener } }: Parts, config: Config): void {
  const tls = tlsFilesOf(config);
  if (tls && listener.isTls && listener.renewCertificate(tls)) noteCertificate(listener.certificate, base.log);
  base.settings.reload(config);
  core.jobs.runner.reload();
}
