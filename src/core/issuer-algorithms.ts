/**
 * How tokens of another issuer may be signed when its public keys are known, and which keys each may be checked with (RFC 7518 section 3.1, RFC 8037).
 * HS256 is none of them: a public key must not count as a secret.
 */
export const KEY_KIND_OF = {
  RS256: "RSA",
  RS384: "RSA",
  RS512: "RSA",
  PS256: "RSA",
  ES256: "EC P-256",
  ES384: "EC P-384",
  EdDSA: "OKP Ed25519",
} as const;

export type IssuerAlgorithm = keyof typeof KEY_KIND_OF;
export const ISSUER_ALGORITHMS = Object.keys(KEY_KIND_OF) as IssuerAlgorithm[];
