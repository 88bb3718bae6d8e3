import { useEffect, useState } from "preact/hooks";
import { errorText } from "../../app/api.ts";
import { endedBecause, openRequest, openSession } from "../../app/session.ts";
import { Banner, Button, Field, Form, Input, UiHost } from "../../ui/index.ts";

/** The pages of visitors without a session. */
export function StartPages() {
  return (
    <main class="start">
      <SignIn />
      <UiHost />
    </main>
  );
}

function SignIn() {
  const [login, setLogin] = useState("");
  const [password, setPassword] = useState("");
  const [error, setError] = useState("");
  useEffect(() => {
    document.title = "Sign in · Prism";
  }, []);
  const signIn = async () => {
    setError("");
    try {
      const { accessToken } = await openRequest<{ accessToken: string }>("/auth/login", { login, password });
      await openSession(accessToken);
    } catch (cause) {
      setError(errorText(cause));
    }
  };
  return (
    <Form onSubmit={signIn}>
      <h1>Sign in</h1>
      {endedBecause.value && <Banner tone="info">{endedBecause.value}</Banner>}
      {error && <Banner tone="bad">{error}</Banner>}
      <Field label="Mail address, username or phone number">
        <Input value={login} onChange={setLogin} autocomplete="username" autoFocus />
      </Field>
      <Field label="Password">
        <Input type="password" value={password} onChange={setPassword} autocomplete="current-password" />
      </Field>
      <Button variant="primary" type="submit">
        Sign in
      </Button>
    </Form>
  );
}
