import { useState } from "preact/hooks";
import { navigate } from "../../../app/navigate.ts";
import { Button, Field, Form, Input } from "../../../ui/index.ts";
import { type Owner, OwnerFields, ownerOf } from "../account-fields.tsx";
import { dropToken, linkToken } from "../link-token.ts";
import { NewPassword } from "../new-password.tsx";
import { register } from "../register.tsx";

/** Makes the first administrator with the setup token, which the server shows at its first start. */
export function AdminStep({ passwordMin }: { readonly passwordMin: number }) {
  const given = linkToken.value;
  const [token, setToken] = useState(given ?? "");
  const [owner, setOwner] = useState<Owner>({});
  const [password, setPassword] = useState("");
  const submit = async () => {
    await register({ ...ownerOf(owner), password, setupToken: token.trim() });
    dropToken();
    navigate("/setup", { replace: true });
  };
  const isComplete = ownerOf(owner).email !== undefined && password !== "" && token.trim() !== "";
  return (
    <Form onSubmit={submit} label="Create the administrator">
      {given === null && (
        <Field
          label="Setup token"
          hint="The server has shown a set-up link with it at its first start, once, on its terminal: prs_…"
        >
          <Input value={token} onChange={setToken} mono autoFocus />
        </Field>
      )}
      <OwnerFields owner={owner} onChange={setOwner} autoFocus={given !== null} />
      <NewPassword value={password} onChange={setPassword} min={passwordMin} />
      <div class="setup-actions">
        <Button variant="primary" type="submit" disabled={!isComplete}>
          Create administrator
        </Button>
      </div>
    </Form>
  );
}
