import { statSync } from "node:fs";
import { isIP } from "node:net";
import type { Config } from "../../../config/load.ts";
import { tlsFilesOf } from "../../../config/public-url.ts";
import { DAY_MS } from "../../../core/clock.ts";
import { readCertificate, type TlsFiles, TlsRefused } from "../../../http/tls.ts";
import { type Check, fail, pass, warn } from "./check.ts";

/** Certificates are renewed a month before their end; when this little is left, that has not worked. */
const RENEW_BEFORE_DAYS = 14;

/** Whether clients will take the certificate; nothing where TLS is off. */
export function checkTls(config: Config, now = Date.now()): Check[] {
  const files = tlsFilesOf(config);
  if (!files) return [];
  return [...checkKeyMode(files.keyFile), ...checkCertificate(config, files, now)];
}

/** Who can read the key can pose as the server. A group of its own, such as `ssl-cert`, is usual. */
function checkKeyMode(keyFile: string): Check[] {
  const mode = (statSync(keyFile, { throwIfNoEntry: false })?.mode ?? 0) & 0o777;
  if (process.platform === "win32" || (mode & 0o007) === 0) return [];
  const now = mode.toString(8).padStart(4, "0");
  return [
    fail("tls", `${keyFile} has mode ${now}: every account of this machine can get at the key`, `chmod 600 ${keyFile}`),
  ];
}

function checkCertificate(config: Config, files: TlsFiles, now: number): Check[] {
  try {
    const { leaf } = readCertificate(files);
    const days = Math.floor((Date.parse(leaf.validTo) - now) / DAY_MS);
    const until = `the certificate of ${leaf.subjectAltName ?? leaf.subject} ends ${leaf.validTo}`;
    if (days < 0) return [fail("tls", `${until}: clients refuse it`, "renew it, then send SIGHUP")];
    if (Date.parse(leaf.validFrom) > now)
      return [fail("tls", `the certificate begins ${leaf.validFrom}: is the clock right?`)];
    if (days < RENEW_BEFORE_DAYS) return [warn("tls", `${until}, in ${days} days`, "renew it, then send SIGHUP")];
    return (
      checkName(config, leaf.checkHost.bind(leaf), leaf.checkIP.bind(leaf)) ?? [
        pass("tls", `${until}, in ${days} days`),
      ]
    );
  } catch (error) {
    if (error instanceof TlsRefused) return [fail("tls", error.message)];
    throw error;
  }
}

/** Whether `publicUrl`, by which clients come, and the certificate agree. */
function checkName(
  { publicUrl }: Config,
  checkHost: (name: string) => string | undefined,
  checkIP: (ip: string) => string | undefined,
): Check[] | undefined {
  if (publicUrl === undefined) return undefined;
  const { protocol, hostname } = new URL(publicUrl);
  if (protocol !== "https:")
    return [warn("tls", "publicUrl begins with http:, but the server speaks TLS", "write https:")];
  const name = hostname.replace(/^\[|\]$/g, "");
  const isNamed = (isIP(name) === 0 ? checkHost(name) : checkIP(name)) !== undefined;
  return isNamed ? undefined : [warn("tls", `the certificate does not name ${name}, the host of publicUrl`)];
}
