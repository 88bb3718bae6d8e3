import { useState } from "preact/hooks";
import type { AddedPasskey, Passkey, Passkeys, User } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { hasPasskeys, makePasskey, type NewPasskeyOptions } from "../../app/passkeys.ts";
import { useGet } from "../../app/query.ts";
import { Badge, Banner, Button, Card, Dialog, Field, Input, Loaded, openDialog, Time, toast } from "../../ui/index.ts";
import { useOwnerProof } from "./owner-proof.tsx";
import { CodesDialog } from "./second-factor.tsx";

const PATH = "/users/me/passkeys";
const NO_BROWSER = "This browser has no passkeys under this address: they need HTTPS.";

interface Props {
  readonly account: User;
  readonly onDone: () => void;
}

/** Passkeys: a second factor beside the password, and a sign-in without it. */
export function PasskeysCard({ account, onDone }: Props) {
  const list = useGet<Passkeys>(PATH);
  const done = () => {
    list.reload();
    onDone();
  };
  return (
    <Card
      title="Passkeys"
      sub="Your finger, face or PIN on this device, or a security key. One alone signs you in; after the password it is the second factor."
    >
      <Loaded query={list}>
        {({ data, reason }) => {
          const why = reason ?? (hasPasskeys() ? null : NO_BROWSER);
          return (
            <div class="stack">
              {why !== null && <Banner tone="info">{why}</Banner>}
              {data.length > 0 && (
                <ul class="account-rows" aria-label="Passkeys">
                  {data.map((passkey) => (
                    <Row key={passkey.id} passkey={passkey} account={account} onDone={done} />
                  ))}
                </ul>
              )}
              {why === null && (
                <div>
                  <Button onClick={() => openDialog(<AddDialog account={account} onDone={done} />)}>
                    Add a passkey
                  </Button>
                </div>
              )}
            </div>
          );
        }}
      </Loaded>
    </Card>
  );
}

function Row({ passkey, account, onDone }: Props & { readonly passkey: Passkey }) {
  const { name, createdAt, lastUsedAt, works, signsIn, host } = passkey;
  return (
    <li>
      <div>
        <span class="inline">
          <span dir="auto">{name}</span>
          {!works && <Badge tone="warn">does not work</Badge>}
          {works && !signsIn && <Badge tone="plain">second factor only</Badge>}
        </span>
        <div class="muted small">
          Added <Time at={createdAt} />, last used <Time at={lastUsedAt} empty="never" />
          {!works && `. It belongs to ${host}, the earlier address of this server.`}
        </div>
      </div>
      <div class="inline">
        <Button small onClick={() => openDialog(<RenameDialog passkey={passkey} onDone={onDone} />)}>
          Rename
        </Button>
        <Button
          small
          variant="danger"
          onClick={() => openDialog(<RemoveDialog passkey={passkey} account={account} onDone={onDone} />)}
        >
          Remove
        </Button>
      </div>
    </li>
  );
}

function AddDialog({ account, onDone }: Props) {
  const [name, setName] = useState("");
  const { prove, fields, isComplete } = useOwnerProof(account);
  const add = async () => {
    const options = await api.post<NewPasskeyOptions>(`${PATH}/begin`, await prove());
    const passkey = await makePasskey(options);
    const { recoveryCodes } = await api.post<AddedPasskey>(PATH, { name: name.trim(), passkey });
    toast.ok("The passkey is added. Your other sessions have ended.");
    if (recoveryCodes.length > 0) return <CodesDialog codes={recoveryCodes} onDone={onDone} />;
    onDone();
  };
  return (
    <Dialog size="sm" title="Add a passkey" onSubmit={add} action="Continue" blocked={!isComplete}>
      <div class="stack">
        <Field label="Name" hint="Such as the device that has it.">
          <Input value={name} onChange={setName} />
        </Field>
        {fields}
      </div>
    </Dialog>
  );
}

function RenameDialog({ passkey, onDone }: Pick<Props, "onDone"> & { readonly passkey: Passkey }) {
  const [name, setName] = useState(passkey.name);
  const rename = async () => {
    await api.patch(`${PATH}/${passkey.id}`, { name: name.trim() });
    onDone();
  };
  return (
    <Dialog size="sm" title="Rename the passkey" onSubmit={rename} action="Rename" blocked={name.trim() === ""}>
      <Field label="Name">
        <Input value={name} onChange={setName} autoFocus />
      </Field>
    </Dialog>
  );
}

function RemoveDialog({ passkey, account, onDone }: Props & { readonly passkey: Passkey }) {
  const { prove, fields, isComplete } = useOwnerProof(account);
  const { secondFactor: factor, hasPassword } = account;
  const isLast = factor?.app === false && factor.passkeys === 1;
  const remove = async () => {
    await api.del(`${PATH}/${passkey.id}`, {}, { body: await prove() });
    toast.ok(`The passkey ${passkey.name} is removed.`);
    onDone();
  };
  return (
    <Dialog
      size="sm"
      title={`Remove the passkey ${passkey.name}?`}
      subtitle={
        isLast
          ? `It is your last second factor: ${hasPassword ? "the password alone then signs in" : "sign-ins then ask for none"}, and your recovery codes end.`
          : "It no longer signs in. Your other sessions end."
      }
      onSubmit={remove}
      footer={
        <Button variant="danger" type="submit" disabled={!isComplete}>
          Remove
        </Button>
      }
    >
      {fields}
    </Dialog>
  );
}
