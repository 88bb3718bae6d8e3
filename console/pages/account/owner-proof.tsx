import { useState } from "preact/hooks";
import type { User } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { askPasskey, hasPasskeys, type PasskeyOptions } from "../../app/passkeys.ts";
import { Field, Input } from "../../ui/index.ts";

/** Fields that prove the owner of the account: the password and, where there is one, the second factor. */
export function useOwnerProof({ secondFactor: factor, hasPassword = true }: User) {
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const given = code.replace(/\s+/g, "");
  const hasFactor = factor?.enabled === true;
  const canAsk = hasFactor && (factor?.passkeys ?? 0) > 0 && hasPasskeys();
  const prove = async (): Promise<object> => {
    const own = password === "" ? {} : { password };
    if (!hasFactor) return own;
    // Codes of apps have six digits.
    if (given !== "") return { ...own, ...(/^\d{6}$/.test(given) ? { code: given } : { recoveryCode: given }) };
    return { ...own, passkey: await askPasskey(await api.post<PasskeyOptions>("/users/me/passkeys/proof")) };
  };
  const fields = (
    <div class="stack">
      {hasPassword ? (
        <Field
          label="Your password"
          hint={canAsk ? "Leave both fields empty to use a passkey that asks for your finger, face or PIN." : undefined}
        >
          <Input type="password" value={password} onChange={setPassword} autocomplete="current-password" autoFocus />
        </Field>
      ) : (
        <p class="small muted">
          Your account has no password: this works within ten minutes of signing in. After that, sign in again first.
        </p>
      )}
      {hasFactor && (
        <Field
          label={factor?.app ? "Code of the app, or a recovery code" : "Recovery code"}
          hint={canAsk ? "Left empty, your browser asks for a passkey." : undefined}
        >
          <Input value={code} onChange={setCode} autocomplete="one-time-code" mono />
        </Field>
      )}
    </div>
  );
  const hasProof = !hasPassword || password !== "";
  const isComplete = canAsk ? hasProof || given === "" : hasProof && (!hasFactor || given !== "");
  return { prove, fields, isComplete };
}
