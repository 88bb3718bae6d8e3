import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { isIP } from "node:net";
import type { Config } from "../../config/load.ts";
import { tlsFilesOf } from "../../config/public-url.ts";
import { type Finding, fail, pass, warn } from "../../core/finding.ts";
import type { Logger } from "../../core/log.ts";
import { DAY_MS } from "../../core/time/clock.ts";

/** PEM files: the certificate chain, and its private key. */
export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** A server's certificate, as read. */
export interface Certificate {
  readonly leaf: X509Certificate;
  /** Hash of both files; a new one means that they changed. */
  readonly digest: string;
}

/** The certificate files cannot be used. The message names file and reason, not content. */
export class TlsRefused extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "TlsRefused";
  }
}

/** AEAD with forward secrecy for TLS 1.2; all suites of TLS 1.3 qualify. OpenSSL's format. */
export const TLS_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20";

/** A year (RFC 6797), without subdomains, which may belong to others. */
export const HSTS_LINE = "Strict-Transport-Security: max-age=31536000\r\n";

/**
 * Reads and checks the files before the library does, which gives no reasons. An expired
 * certificate is accepted, because a server that does not start helps no one; `doctor` and the log
 * report it. @throws TlsRefused
 */
export function readCertificate({ certFile, keyFile }: TlsFiles): Certificate {
  const cert = readPem(certFile, "tls.certFile");
  const key = readPem(keyFile, "tls.keyFile");
  const leaf = parse(`tls.certFile ${certFile} holds no certificate in PEM`, () => new X509Certificate(cert));
  const privateKey = parse(`tls.keyFile ${keyFile} holds no unencrypted private key in PEM`, () =>
    createPrivateKey(key),
  );
  if (!leaf.checkPrivateKey(privateKey))
    throw new TlsRefused(`the private key in ${keyFile} is not that of the certificate in ${certFile}`);
  // Further certificates must be readable, and OpenSSL must accept the key's strength.
  parse(`the certificates in ${certFile} cannot be used`, () =>
    process.getBuiltinModule("node:tls").createSecureContext({ cert, key }),
  );
  return { leaf, digest: createHash("sha256").update(cert).update("\0").update(key).digest("hex") };
}

/** Logs the certificate of new connections and its expiry. @param certificate null without TLS. */
export function noteCertificate(certificate: Certificate | null, log: Logger): void {
  if (!certificate) return;
  const { subject, validTo, fingerprint256 } = certificate.leaf;
  const fields = { subject, validTo, fingerprint: fingerprint256 };
  if (Date.parse(validTo) < Date.now()) log.warn(fields, "the TLS certificate has expired; clients will refuse it");
  else log.info(fields, "new connections use this TLS certificate");
}

function readPem(file: string, setting: string): Buffer {
  return parse(`${setting} ${file} cannot be read`, () => readFileSync(file));
}

function parse<T>(problem: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code;
    throw new TlsRefused(reason === undefined ? problem : `${problem} (${reason})`, { cause });
  }
}

/** Certificates are renewed a month before they expire; with less time left, that has failed. */
const RENEW_BEFORE_DAYS = 14;

/** Whether clients will accept the certificate; nothing without TLS. */
export function checkTls(config: Config, now = Date.now()): Finding[] {
  const files = tlsFilesOf(config);
  if (!files) return [];
  return [...checkKeyMode(files.keyFile), ...checkCertificate(config, files, now)];
}

/** A reader of the key can impersonate the server. A group such as `ssl-cert` is common. */
function checkKeyMode(keyFile: string): Finding[] {
  const mode = (statSync(keyFile, { throwIfNoEntry: false })?.mode ?? 0) & 0o777;
  if (process.platform === "win32" || (mode & 0o007) === 0) return [];
  const now = mode.toString(8).padStart(4, "0");
  return [
    fail("tls", `${keyFile} has mode ${now}: every account of this machine can read the key`, `chmod 600 ${keyFile}`),
  ];
}

function checkCertificate(config: Config, files: TlsFiles, now: number): Finding[] {
  try {
    const { leaf } = readCertificate(files);
    const days = Math.floor((Date.parse(leaf.validTo) - now) / DAY_MS);
    const until = `the certificate of ${leaf.subjectAltName ?? leaf.subject} expires ${leaf.validTo}`;
    if (days < 0) return [fail("tls", `${until}: clients refuse it`, "renew it, then send SIGHUP")];
    if (Date.parse(leaf.validFrom) > now)
      return [fail("tls", `the certificate is not valid before ${leaf.validFrom}: is the clock right?`)];
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

/** Whether the certificate matches `publicUrl`, the clients' address. */
function checkName(
  { publicUrl }: Config,
  checkHost: (name: string) => string | undefined,
  checkIP: (ip: string) => string | undefined,
): Finding[] | undefined {
  if (publicUrl === undefined) return undefined;
  const { protocol, hostname } = new URL(publicUrl);
  if (protocol !== "https:")
    return [warn("tls", "publicUrl starts with http:, but the server speaks TLS", "change it to https:")];
  const name = hostname.replace(/^\[|\]$/g, "");
  const isNamed = (isIP(name) === 0 ? checkHost(name) : checkIP(name)) !== undefined;
  return isNamed ? undefined : [warn("tls", `the certificate does not name ${name}, the host of publicUrl`)];
}
