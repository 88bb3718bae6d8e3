import { useState } from "preact/hooks";
import type { PendingSecondFactor, RecoveryCodes, User } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { QrCode } from "../../app/qr-code.tsx";
import {
  Badge,
  Banner,
  Button,
  Card,
  CopyButton,
  Dialog,
  Field,
  Input,
  Link,
  openDialog,
  plural,
  Time,
  toast,
  useClose,
} from "../../ui/index.ts";
import { useOwnerProof } from "./owner-proof.tsx";

const PATH = "/users/me/second-factor";

interface CardProps {
  readonly account: User;
  readonly reload: () => void;
}

/** The second factor of logins: codes of an authenticator app, and the recovery codes. */
export function SecondFactorCard({ account, reload }: CardProps) {
  const factor = account.secondFactor;
  const isOn = factor?.enabled === true;
  const shared = { account, onDone: reload };
  return (
    <Card
      title="Second factor"
      sub="A sign-in with the password or a provider then needs a code of your authenticator app or a passkey, too."
      actions={<Badge tone={isOn ? "ok" : "plain"}>{isOn ? "on" : "off"}</Badge>}
    >
      {isOn ? (
        <div class="stack">
          <p class="small">
            On since <Time at={factor.since} />. {plural(factor.recoveryCodesLeft, "recovery code")} left.
          </p>
          {factor.recoveryCodesLeft < 3 && (
            <Banner tone="warn">
              Create new recovery codes before you need them: they open the account without app and passkey.
            </Banner>
          )}
          <div class="inline">
            <Button onClick={() => openDialog(<NewCodesDialog {...shared} />)}>New recovery codes</Button>
            {factor.app ? (
              <Button variant="danger" onClick={() => openDialog(<RemoveDialog {...shared} />)}>
                {factor.passkeys > 0 ? "Remove the app" : "Turn off"}
              </Button>
            ) : (
              <Button onClick={() => openDialog(<EnableDialog {...shared} />)}>Add an authenticator app</Button>
            )}
          </div>
        </div>
      ) : (
        <Button variant="primary" onClick={() => openDialog(<EnableDialog {...shared} />)}>
          Turn on
        </Button>
      )}
    </Card>
  );
}

interface DialogProps {
  readonly onDone: () => void;
}

interface ProofProps extends DialogProps {
  readonly account: User;
}

/** The proof, then the QR code and its first code, then the recovery codes. */
function EnableDialog({ account, onDone }: ProofProps) {
  const { prove, fields, isComplete } = useOwnerProof(account);
  const start = async () => (
    <ScanDialog pending={await api.post<PendingSecondFactor>(PATH, await prove())} onDone={onDone} />
  );
  return (
    <Dialog size="sm" title="Turn on the second factor" onSubmit={start} action="Continue" blocked={!isComplete}>
      {fields}
    </Dialog>
  );
}

function ScanDialog({ pending, onDone }: DialogProps & { readonly pending: PendingSecondFactor }) {
  const [code, setCode] = useState("");
  const confirmCode = async () => {
    const given = { code: code.replace(/\s+/g, "") };
    const { recoveryCodes } = await api.post<RecoveryCodes>(`${PATH}/confirm`, given);
    if (recoveryCodes.length > 0) return <CodesDialog codes={recoveryCodes} onDone={onDone} />;
    toast.ok("The app is added. Your recovery codes stay as they are.");
    onDone();
  };
  return (
    <Dialog
      title="Scan the code with your app"
      onSubmit={confirmCode}
      action="Turn on"
      blocked={code.trim() === ""}
      onClose={onDone}
    >
      <div class="account-qr">
        <QrCode text={pending.uri} label="QR code with the secret" />
        <div class="stack">
          <p class="small muted">Any app for one-time codes works, such as Aegis, 2FAS or a password manager.</p>
          <p class="small">
            <Link href={pending.uri}>Open the app on this device</Link>
          </p>
          <Field label="Or type the secret" action={<CopyButton text={pending.secret} quiet />}>
            <Input value={groupsOf(pending.secret)} onChange={() => undefined} mono readOnly />
          </Field>
          <Field label="Code of the app" hint="The second factor counts after this code. Your other sessions end.">
            <Input value={code} onChange={setCode} autocomplete="one-time-code" inputMode="numeric" mono autoFocus />
          </Field>
        </div>
      </div>
    </Dialog>
  );
}

const groupsOf = (secret: string): string => secret.match(/.{1,4}/g)?.join(" ") ?? secret;

export function CodesDialog({ codes, onDone }: DialogProps & { readonly codes: readonly string[] }) {
  const close = useClose();
  const stored = () => {
    close();
    onDone();
  };
  const text = codes.join("\n");
  const download = `data:text/plain;charset=utf-8,${encodeURIComponent(`Recovery codes of Prism (${location.host})\n\n${text}\n`)}`;
  return (
    <Dialog
      onClose={onDone}
      title="Store your recovery codes"
      subtitle="Each opens the account once without app and passkey. Prism shows them only now."
      footer={
        <Button variant="primary" onClick={stored}>
          I have stored them
        </Button>
      }
    >
      <div class="stack">
        <ul class="account-codes" aria-label="Recovery codes">
          {codes.map((code) => (
            <li key={code}>{code}</li>
          ))}
        </ul>
        <div class="inline">
          <CopyButton text={text} label="Copy all" />
          <Button small href={download} download="prism-recovery-codes.txt">
            Download
          </Button>
        </div>
      </div>
    </Dialog>
  );
}

function NewCodesDialog({ account, onDone }: ProofProps) {
  const { prove, fields, isComplete } = useOwnerProof(account);
  const create = async () => {
    const { recoveryCodes } = await api.post<RecoveryCodes>(`${PATH}/recovery-codes`, await prove());
    return <CodesDialog codes={recoveryCodes} onDone={onDone} />;
  };
  return (
    <Dialog
      size="sm"
      title="New recovery codes"
      subtitle="The earlier codes no longer work."
      onSubmit={create}
      action="Create new codes"
      blocked={!isComplete}
    >
      {fields}
    </Dialog>
  );
}

function RemoveDialog({ account, onDone }: ProofProps) {
  const { prove, fields, isComplete } = useOwnerProof(account);
  const hasPasskey = (account.secondFactor?.passkeys ?? 0) > 0;
  const remove = async () => {
    await api.del(PATH, {}, { body: await prove() });
    toast.ok(hasPasskey ? "The app is removed." : "The second factor is off.");
    onDone();
  };
  return (
    <Dialog
      size="sm"
      title={hasPasskey ? "Remove the authenticator app" : "Turn off the second factor"}
      subtitle={hasPasskey ? "Passkeys stay your second factor." : "Sign-ins then need no code."}
      onSubmit={remove}
      footer={
        <Button variant="danger" type="submit" disabled={!isComplete}>
          {hasPasskey ? "Remove" : "Turn off"}
        </Button>
      }
    >
      {fields}
    </Dialog>
  );
}
