import * as v from "valibot";
import { doc, named, object, openObject } from "../../../http/api/shapes.ts";

/** Public keys and certificates of authenticators are the longest, of a few kilobytes. */
const MAX_ENCODED = 16_384;

const encoded = (what: string) =>
  doc(
    v.pipe(
      v.string("must be a string"),
      v.maxLength(MAX_ENCODED, `must be at most ${MAX_ENCODED} characters long`),
      v.regex(/^[A-Za-z0-9_-]+$/, "must be Base64url"),
    ),
    `${what}, in Base64url`,
  );

/** Members that browsers add to each answer. */
const credentialEntries = {
  id: encoded("Id of the credential"),
  rawId: encoded("The same id"),
  type: doc(v.literal("public-key"), "Type of the credential"),
  authenticatorAttachment: v.optional(
    doc(v.nullable(v.picklist(["platform", "cross-platform"])), "Where the authenticator is; not used"),
  ),
  clientExtensionResults: v.optional(doc(openObject({}), "Results of extensions; not used")),
};

/** What a browser answers to the options of a sign-in (WebAuthn `AuthenticationResponseJSON`). */
export const PasskeyAnswer = named(
  "PasskeyAnswer",
  "The answer of a passkey: `toJSON()` of what `navigator.credentials.get()` returns",
  object({
    ...credentialEntries,
    response: doc(
      object({
        clientDataJSON: encoded("What the browser was asked"),
        authenticatorData: encoded("Data of the authenticator"),
        signature: encoded("Signature of both"),
        userHandle: v.optional(v.nullable(encoded("The account that the authenticator knows"))),
      }),
      "The signed answer",
    ),
  }),
);
export type PasskeyAnswer = v.InferOutput<typeof PasskeyAnswer>;

/** What a browser answers to the options of a new passkey (WebAuthn `RegistrationResponseJSON`). */
export const PasskeyRegistration = named(
  "PasskeyRegistration",
  "A new passkey: `toJSON()` of what `navigator.credentials.create()` returns",
  object({
    ...credentialEntries,
    response: doc(
      object({
        clientDataJSON: encoded("What the browser was asked"),
        attestationObject: encoded("The new public key with data of the authenticator"),
        authenticatorData: v.optional(encoded("A part of it; not used")),
        publicKey: v.optional(v.nullable(encoded("A part of it; not used"))),
        publicKeyAlgorithm: v.optional(doc(v.number(), "A part of it; not used")),
        transports: v.optional(
          doc(v.pipe(v.array(v.pipe(v.string(), v.maxLength(32))), v.maxLength(10)), "How browsers reach it"),
        ),
      }),
      "The new credential",
    ),
  }),
);
export type PasskeyRegistration = v.InferOutput<typeof PasskeyRegistration>;

export const PasskeyOptions = named(
  "PasskeyOptions",
  "Options of `navigator.credentials.get()`, for `PublicKeyCredential.parseRequestOptionsFromJSON()`",
  v.looseObject({ challenge: v.string() }),
);
export const NewPasskeyOptions = named(
  "NewPasskeyOptions",
  "Options of `navigator.credentials.create()`, for `PublicKeyCredential.parseCreationOptionsFromJSON()`",
  v.looseObject({ challenge: v.string() }),
);

export const PasskeyView = named(
  "Passkey",
  "A passkey of the caller",
  v.object({
    id: v.string(),
    name: v.string(),
    createdAt: v.string(),
    lastUsedAt: v.nullable(v.string()),
    backedUp: doc(v.boolean(), "Whether it is synchronised, so that it outlives its device"),
    signsIn: doc(v.boolean(), "Whether it signs in without a password: its authenticator has verified the user"),
    host: doc(v.string(), "The host that it belongs to"),
    works: doc(v.boolean(), "False: `publicUrl` has another host now"),
  }),
);

export const PasskeyList = named(
  "Passkeys",
  "The caller's passkeys",
  v.object({
    data: v.array(PasskeyView),
    reason: doc(v.nullable(v.string()), "Why there can be no passkeys on this server; null: there can"),
  }),
);
