import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import type { Logger } from "../core/log.ts";

/** Files in PEM: the certificate with those that vouch for it, and its private key. */
export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** What a server shows to its clients, as it was read. */
export interface Certificate {
  readonly leaf: X509Certificate;
  /** Of both files; another one means that there is something new to load. */
  readonly digest: string;
}

/**
 * The certificate files cannot be used. The message says which and why, and holds nothing of the
 * key.
 */
export class TlsRefused extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "TlsRefused";
  }
}

/**
 * AEAD with forward secrecy for TLS 1.2; TLS 1.3 has suites of its own, all of which are.
 * OpenSSL's cipher list format.
 */
export const TLS_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20";

/** A year, as RFC 6797 has it; hosts beneath this one are not ours to speak for. */
export const HSTS_LINE = "Strict-Transport-Security: max-age=31536000\r\n";

/**
 * Reads and checks the files before the library is given them: all it says about bad ones is that
 * they are. An expired certificate is let pass, for a server that does not start helps nobody;
 * `doctor` and the log say so. @throws TlsRefused
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
  // What follows the first certificate must be readable, too, and OpenSSL must find the key strong
  // enough.
  parse(`the certificates in ${certFile} cannot be used`, () => createSecureContext({ cert, key }));
  return { leaf, digest: createHash("sha256").update(cert).update("\0").update(key).digest("hex") };
}

/**
 * Says which certificate clients get from now on, and when it will do no more. @param certificate
 * null where there is no TLS.
 */
export function noteCertificate(certificate: Certificate | null, log: Logger): void {
  if (!certificate) return;
  const { subject, validTo, fingerprint256 } = certificate.leaf;
  const fields = { subject, validTo, fingerprint: fingerprint256 };
  if (Date.parse(validTo) < Date.now()) log.warn(fields, "the certificate has expired; clients will refuse it");
  else log.info(fields, "new connections get this certificate");
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
