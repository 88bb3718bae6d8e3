// Signatures of minisign (https://jedisct1.github.io/minisign/, "Signature format"), so that a release
// can be checked with `minisign -Vm <file> -P <public key>`. The secret key is a JSON file of this
// project's own, because minisign's is protected by a password that a build cannot enter.
//
// Usage: node scripts/package/minisign.mjs new-key <file> makes a key and prints its public key.
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  verify,
} from "node:crypto";
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Prehashed with BLAKE2b-512. */
const ALGORITHM = Buffer.from("ED");
const KEY_ALGORITHM = Buffer.from("Ed");

/** @returns { keyId, privateKey }: 8 bytes in hex, and PKCS #8 in PEM */
export function newSigningKey() {
  const { privateKey } = generateKeyPairSync("ed25519");
  return { keyId: randomBytes(8).toString("hex"), privateKey: privateKey.export({ type: "pkcs8", format: "pem" }) };
}

/** The line of minisign's public key files, for `minisign -P`. */
export function publicKeyOf({ keyId, privateKey }) {
  return Buffer.concat([KEY_ALGORITHM, Buffer.from(keyId, "hex"), rawPublicKey(privateKey)]).toString("base64");
}

/** The text of `<file>.minisig`. @param comment is signed too */
export function signatureOf(bytes, { keyId, privateKey }, comment) {
  const key = createPrivateKey(privateKey);
  const signature = sign(null, createHash("blake2b512").update(bytes).digest(), key);
  const whole = sign(null, Buffer.concat([signature, Buffer.from(comment)]), key);
  const line = Buffer.concat([ALGORITHM, Buffer.from(keyId, "hex"), signature]).toString("base64");
  return `untrusted comment: signature of Prism\n${line}\ntrusted comment: ${comment}\n${whole.toString("base64")}\n`;
}

/** @returns the trusted comment. @throws Error if the signature is not that of the key */
export function checkSignature(bytes, text, publicKey) {
  const [, line = "", comment = "", whole = ""] = text.split("\n");
  const given = Buffer.from(publicKey, "base64");
  const signed = Buffer.from(line, "base64");
  const trusted = comment.replace(/^trusted comment: /, "");
  if (!signed.subarray(0, 2).equals(ALGORITHM) || !signed.subarray(2, 10).equals(given.subarray(2, 10)))
    throw new Error("the signature was made with another key");
  const key = keyOfRaw(given.subarray(10));
  const signature = signed.subarray(10);
  const isOwn =
    verify(null, createHash("blake2b512").update(bytes).digest(), key, signature) &&
    verify(null, Buffer.concat([signature, Buffer.from(trusted)]), key, Buffer.from(whole, "base64"));
  if (!isOwn) throw new Error("the signature does not match the file");
  return trusted;
}

function rawPublicKey(privateKey) {
  const der = createPublicKey(createPrivateKey(privateKey)).export({ type: "spki", format: "der" });
  return der.subarray(der.length - 32);
}

/** SubjectPublicKeyInfo of Ed25519 (RFC 8410). */
function keyOfRaw(raw) {
  const head = Buffer.from("302a300506032b6570032100", "hex");
  return createPublicKey({ key: Buffer.concat([head, raw]), type: "spki", format: "der" });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , command, file] = process.argv;
  if (command !== "new-key" || file === undefined)
    throw new Error("usage: node scripts/package/minisign.mjs new-key <file>");
  const key = newSigningKey();
  writeFileSync(file, `${JSON.stringify(key)}\n`, { mode: 0o600, flag: "wx" });
  console.log(publicKeyOf(key));
}
