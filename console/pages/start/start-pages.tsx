import "./start.css";
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { navigate, usePath } from "../../app/navigate.ts";
import { session } from "../../app/session.ts";
import { ErrorState, UiHost } from "../../ui/index.ts";
import { SIGN_IN_PATHS, SignIn, useNext } from "./sign-in.tsx";

type Load = () => Promise<ComponentType>;

const mailLink =
  (name: "ResetPassword" | "Invite" | "VerifyEmail" | "Unsubscribe"): Load =>
  async () =>
    (await import("./mail-links.ts"))[name];

/** Pages for visitors with and without a session, loaded on their first visit. */
const PAGES: Readonly<Record<string, Load>> = {
  "/reset-password": mailLink("ResetPassword"),
  "/invite": mailLink("Invite"),
  "/verify-email": mailLink("VerifyEmail"),
  "/project-invitation": async () => (await import("./project-invitation.tsx")).ProjectInvitation,
  "/unsubscribe": mailLink("Unsubscribe"),
  "/sign-in-link": async () => (await import("./sign-in-link.tsx")).SignInLink,
  "/setup": async () => (await import("./setup/wizard.tsx")).SetupWizard,
};

/** Pages for visitors without a session only. */
const VISITOR_PAGES: Readonly<Record<string, Load>> = {
  "/register": async () => (await import("./register.tsx")).Register,
  "/forgot-password": async () => (await import("./mail-links.ts")).ForgotPassword,
};

/** Whether a page is shown outside the shell, to signed-in users too. */
export function isStartPath(path: string): boolean {
  return path in PAGES || SIGN_IN_PATHS.includes(path);
}

/** The pages of visitors without a session: links of mails, set-up, and otherwise the sign-in. */
export function StartPages() {
  const path = usePath();
  const load = PAGES[path] ?? VISITOR_PAGES[path];
  const next = useNext();
  const isIn = session.value === "signedIn";
  const isPointless = isIn && SIGN_IN_PATHS.includes(path);
  useEffect(() => {
    if (isPointless) navigate(next, { replace: true });
  }, [isPointless]);
  if (isPointless) return null;
  return (
    <>
      {load ? <Later key={path} load={load} /> : <SignIn />}
      <UiHost />
    </>
  );
}

function Later({ load }: { readonly load: Load }) {
  const [page, setPage] = useState<{ readonly Component: ComponentType }>();
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    load().then((Component) => setPage({ Component }), setError);
  }, []);
  if (error !== undefined) return <ErrorState error={error} retry={() => location.reload()} />;
  return page ? <page.Component /> : null;
}
