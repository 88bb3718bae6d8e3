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

const PATH = "/users/me/second-factor";

interface CardProps {
  readonly account: User;
  readonly reload: () => void;
}

/** The second factor of logins: codes of an authenticator app. */
export function SecondFactorCard({ account, reload }: CardProps) {
  const factor = account.secondFactor;
  const isOn = factor?.enabled === true;
  return (
    <Card
      title="Second factor"
      sub="A sign-in then needs a code of your authenticator app, too."
      actions={<Badge tone={isOn ? "ok" : "plain"}>{isOn ? "on" : "off"}</Badge>}
    >
      {isOn ? (
        <div class="stack">
          <p class="small">
            On since <Time at={factor.since} />. {plural(factor.recoveryCodesLeft, "recovery code")} left.
          </p>
          {factor.recoveryCodesLeft < 3 && (
            <Banner tone="warn">
              Create new recovery codes before you need them: they open the account without the app.
            </Banner>
          )}
          <div class="inline">
            <Button onClick={() => openDialog(<NewCodesDialog onDone={reload} />)}>New recovery codes</Button>
            <Button variant="danger" onClick={() => openDialog(<RemoveDialog onDone={reload} />)}>
              Turn off
            </Button>
          </div>
        </div>
      ) : (
        <Button variant="primary" onClick={() => openDialog(<EnableDialog onDone={reload} />)}>
          Turn on
        </Button>
      )}
    </Card>
  );
}

interface DialogProps {
  readonly onDone: () => void;
}

/** Password, then the QR code and its first code, then the recovery codes. */
function EnableDialog({ onDone }: DialogProps) {
  const [password, setPassword] = useState("");
  const start = async () => (
    <ScanDialog pending={await api.post<PendingSecondFactor>(PATH, { password })} onDone={onDone} />
  );
  return (
    <Dialog size="sm" title="Turn on the second factor" onSubmit={start} action="Continue" blocked={password === ""}>
      <Field label="Your password">
        <Input type="password" value={password} onChange={setPassword} autocomplete="current-password" autoFocus />
      </Field>
    </Dialog>
  );
}

function ScanDialog({ pending, onDone }: DialogProps & { readonly pending: PendingSecondFactor }) {
  const [code, setCode] = useState("");
  const confirmCode = async () => {
    const given = { code: code.replace(/\s+/g, "") };
    const { recoveryCodes } = await api.post<RecoveryCodes>(`${PATH}/confirm`, given);
    return <CodesDialog codes={recoveryCodes} onDone={onDone} />;
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

function CodesDialog({ codes, onDone }: DialogProps & { readonly codes: readonly string[] }) {
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
      subtitle="Each opens the account once without the app. Prism shows them only now."
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

/** The password and a code, for a change of the second factor. */
function useProof() {
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const given = code.replace(/\s+/g, "");
  // Codes of apps have six digits.
  const proof = /^\d{6}$/.test(given) ? { password, code: given } : { password, recoveryCode: given };
  const fields = (
    <div class="stack">
      <Field label="Your password">
        <Input type="password" value={password} onChange={setPassword} autocomplete="current-password" autoFocus />
      </Field>
      <Field label="Code of the app, or a recovery code">
        <Input value={code} onChange={setCode} autocomplete="one-time-code" mono />
      </Field>
    </div>
  );
  return { proof, fields, isComplete: password !== "" && given !== "" };
}

function NewCodesDialog({ onDone }: DialogProps) {
  const { proof, fields, isComplete } = useProof();
  const create = async () => {
    const { recoveryCodes } = await api.post<RecoveryCodes>(`${PATH}/recovery-codes`, proof);
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

function RemoveDialog({ onDone }: DialogProps) {
  const { proof, fields, isComplete } = useProof();
  const remove = async () => {
    await api.del(PATH, {}, { body: proof });
    toast.ok("The second factor is off.");
    onDone();
  };
  return (
    <Dialog
      size="sm"
      title="Turn off the second factor"
      subtitle="The password alone then signs in."
      onSubmit={remove}
      footer={
        <Button variant="danger" type="submit" disabled={!isComplete}>
          Turn off
        </Button>
      }
    >
      {fields}
    </Dialog>
  );
}
