import { useState } from "preact/hooks";
import { navigate } from "../../app/navigate.ts";
import { Button, Form } from "../../ui/index.ts";
import { type Owner, OwnerFields, ownerOf } from "./account-fields.tsx";
import { LinkPage } from "./link-page.tsx";
import { dropToken } from "./link-token.ts";
import { NewPassword } from "./new-password.tsx";
import { register } from "./register.tsx";
import { useSetup } from "./requests.ts";

/** An account that an administrator has created gets its password. */
export function Invite() {
  const setup = useSetup();
  const [owner, setOwner] = useState<Owner>({});
  const [password, setPassword] = useState("");
  return (
    <LinkPage title="Welcome to Prism" sub="An administrator has created an account for you. Choose a password for it.">
      {(token) => (
        <Form
          label="Open your account"
          onSubmit={async () => {
            await register({ inviteToken: token, password, ...ownerOf(owner) });
            dropToken();
            navigate("/", { replace: true });
          }}
        >
          <OwnerFields owner={owner} onChange={setOwner} isNameOnly autoFocus />
          <NewPassword value={password} onChange={setPassword} min={setup?.passwordMin} />
          <Button variant="primary" type="submit" full disabled={password === ""}>
            Open account
          </Button>
        </Form>
      )}
    </LinkPage>
  );
}
