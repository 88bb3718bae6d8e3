import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { renameSync, writeFileSync } from "node:fs";

/** A certificate that vouches for itself, with its key, both in PEM. */
export interface TestCertificate {
  readonly cert: string;
  readonly key: string;
}

/**
 * Makes a certificate for localhost and 127.0.0.1, or for `name` alone (RFC 5280, ECDSA on P-256),
 * without a program or package that would have to be there.
 */
export function makeCertificate({
  validTo = new Date(Date.now() + 86_400_000),
  name = null,
}: {
  validTo?: Date;
  name?: string | null;
} = {}): TestCertificate {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const content = toBeSigned(publicKey, new Date(Date.now() - 365 * 86_400_000), validTo, name);
  const signature = sign("sha256", content, privateKey);
  const der = sequence(content, sequence(ECDSA_WITH_SHA256), tag(0x03, Buffer.from([0]), signature));
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

/** Replaces both files atomically, as certificate clients do. */
export function installCertificate({ cert, key }: TestCertificate, certFile: string, keyFile: string): void {
  for (const [file, text] of [
    [certFile, cert],
    [keyFile, key],
  ] as const) {
    writeFileSync(`${file}.new`, text, { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }
}

function toBeSigned(publicKey: KeyObject, from: Date, to: Date, only: string | null): Buffer {
  // Each has a name of its own: who trusts several finds the right one by it. What clients compare
  // is the alternative names.
  const serial = randomBytes(8);
  const commonName = Buffer.from(`prism test ${serial.toString("hex")}`);
  const name = sequence(tag(0x31, sequence(oid("550403"), tag(0x0c, commonName))));
  const address = only === null ? [tag(0x87, Buffer.from([127, 0, 0, 1]))] : [];
  const alternativeNames = sequence(tag(0x82, Buffer.from(only ?? "localhost")), ...address);
  const isAuthority = sequence(tag(0x01, Buffer.from([0xff])));
  return sequence(
    tag(0xa0, tag(0x02, Buffer.from([2]))),
    tag(0x02, Buffer.from([1]), serial),
    sequence(ECDSA_WITH_SHA256),
    name,
    sequence(utcTime(from), utcTime(to)),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    tag(0xa3, sequence(extension("551d13", isAuthority), extension("551d11", alternativeNames))),
  );
}

/** One element of DER (ITU-T X.690): tag, length, content. */
function tag(id: number, ...content: readonly Buffer[]): Buffer {
  const bytes = Buffer.concat(content);
  const size = bytes.length;
  const length = size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff];
  return Buffer.concat([Buffer.from([id, ...length]), bytes]);
}

function sequence(...content: readonly Buffer[]): Buffer {
  return tag(0x30, ...content);
}

function oid(hex: string): Buffer {
  return tag(0x06, Buffer.from(hex, "hex"));
}

function extension(id: string, value: Buffer): Buffer {
  return sequence(oid(id), tag(0x04, value));
}

function utcTime(date: Date): Buffer {
  const digits = date.toISOString().replace(/[-:T]|\.\d+/g, "");
  return tag(0x17, Buffer.from(digits.slice(2)));
}

const ECDSA_WITH_SHA256 = oid("2a8648ce3d040302");
