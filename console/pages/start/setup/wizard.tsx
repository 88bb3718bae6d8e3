import { useEffect, useState } from "preact/hooks";
import type { Setup } from "../../../../src/client/api-types.gen.ts";
import { href } from "../../../app/base.ts";
import { useGet } from "../../../app/query.ts";
import { can, session, signOut } from "../../../app/session.ts";
import { useSteps } from "../../../app/steps.ts";
import { Banner, Button, ErrorState, Link, Skeleton, Stepper } from "../../../ui/index.ts";
import { StartFrame } from "../frame.tsx";
import { useSetup } from "../requests.ts";
import { SignInForm } from "../sign-in-form.tsx";
import { AddressStep } from "./address-step.tsx";
import { AdminStep } from "./admin-step.tsx";
import { DoneStep } from "./done-step.tsx";
import { MailStep } from "./mail-step.tsx";
import { PhoneStep } from "./phone/phone-step.tsx";
import { RuleStep } from "./rule-step.tsx";
import { useSettings } from "./settings.ts";
import { mailNote, phoneNote } from "./skip.ts";
import { TestStep } from "./test-step.tsx";
import "./setup.css";

const STEPS = [
  { name: "administrator", label: "Administrator" },
  { name: "address", label: "Address" },
  { name: "mail", label: "Mail" },
  { name: "rule", label: "First rule" },
  { name: "phone", label: "Your phone" },
  { name: "test", label: "Test" },
  { name: "done", label: "Done" },
] as const;
type Step = (typeof STEPS)[number]["name"];

/**
 * The set-up of a new server, from its first account to a notification that arrives. Each step
 * stores its result, so it can be left and resumed.
 */
export function SetupWizard() {
  const setup = useSetup();
  if (session.value !== "signedIn") return <Visitor setup={setup} />;
  if (!can("system:manage")) return <NotAllowed />;
  return <SignedIn />;
}

function Visitor({ setup }: { readonly setup: Setup | undefined }) {
  if (!setup)
    return (
      <Frame step="administrator">
        <Skeleton kind="form" />
      </Frame>
    );
  if (setup.needsAdmin) {
    return (
      <Frame step="administrator" sub="This account may do everything. It can create other accounts later.">
        <AdminStep passwordMin={setup.passwordMin} />
      </Frame>
    );
  }
  return (
    <StartFrame title="Set up Prism" sub="This server has an administrator. Sign in as one to go on with the set-up.">
      <SignInForm />
    </StartFrame>
  );
}

function NotAllowed() {
  return (
    <StartFrame title="Set up Prism">
      <Banner tone="info">Only administrators set a server up. Your account does not have this permission.</Banner>
      <div class="inline">
        <Button variant="primary" href={href("/")}>
          Open the console
        </Button>
        <Button onClick={signOut}>Sign out</Button>
      </div>
    </StartFrame>
  );
}

const SUBS: Readonly<Record<Step, string>> = {
  administrator: "",
  address: "Links in mails and notifications start with this address.",
  mail: "Prism mails invitations, links to reset a password, and notifications.",
  rule: "A rule turns events into notifications. Choose one; its test comes later.",
  phone: "Choose how Prism reaches you while the console is closed, and hear it ring.",
  test: "An event fires your rule, and your rule notifies you.",
  done: "Prism is ready.",
};

function SignedIn() {
  const { setting, data, error, reload } = useSettings();
  const rules = useGet<{ readonly data: readonly unknown[] }>("/rules", { limit: 1 });
  // The remaining steps are decided once: a step stays although its result is stored.
  const [first, setFirst] = useState<Step>();
  const { step, next, go } = useSteps(STEPS, first);
  useEffect(() => {
    if (first !== undefined || !data || !rules.data) return;
    if (setting("publicUrl")?.value == null) setFirst("address");
    else if (setting("smtp.host")?.value == null && mailNote() !== "skipped") setFirst("mail");
    else if (rules.data.data.length === 0) setFirst("rule");
    else setFirst(phoneNote() === null ? "phone" : "done");
  }, [data, rules.data]);
  const failure = error ?? rules.error;
  if (failure && !data)
    return (
      <Frame step="address">
        <ErrorState error={failure} retry={reload} />
      </Frame>
    );
  const toStep = (index: number) => index > 0 && go(index);
  if (step === undefined || !data)
    return (
      <Frame step="address" sub={SUBS.address} onStep={toStep}>
        <Skeleton kind="form" />
      </Frame>
    );
  return (
    <Frame step={step} sub={SUBS[step]} onStep={toStep}>
      {step === "address" && <AddressStep setting={setting("publicUrl")} onDone={next} />}
      {step === "mail" && <MailStep setting={setting} onDone={next} />}
      {step === "rule" && <RuleStep hasMail={setting("smtp.host")?.value != null} onDone={next} />}
      {step === "phone" && <PhoneStep setting={setting} onDone={next} />}
      {step === "test" && (
        <TestStep onDone={next} onPhone={() => go(STEPS.findIndex(({ name }) => name === "phone"))} />
      )}
      {(step === "done" || step === "administrator") && <DoneStep />}
    </Frame>
  );
}

interface FrameProps {
  readonly step: Step;
  readonly sub?: string;
  readonly onStep?: (index: number) => void;
  readonly children: preact.ComponentChildren;
}

const TITLES: Readonly<Record<Step, string>> = {
  administrator: "Create the administrator",
  address: "Where is Prism reached?",
  mail: "How does Prism send mail?",
  rule: "Your first rule",
  phone: "Let your phone ring",
  test: "Send a test event",
  done: "Everything is set up",
};

function Frame({ step, sub, onStep, children }: FrameProps) {
  const current = STEPS.findIndex(({ name }) => name === step);
  const links = session.value === "signedIn" && step !== "done" && <Link href={href("/")}>Finish later</Link>;
  return (
    <StartFrame
      wide
      title={TITLES[step]}
      sub={sub}
      links={links || undefined}
      above={<Steps current={current} onStep={onStep} />}
    >
      {children}
    </StartFrame>
  );
}

const NOTES = { skipped: "Skipped", untested: "Not tested" } as const;

function Steps({
  current,
  onStep,
}: {
  readonly current: number;
  readonly onStep: ((index: number) => void) | undefined;
}) {
  const mail = mailNote();
  const isPhoneSkipped = phoneNote() === "skipped";
  const steps = STEPS.map((step) => {
    if (step.name === "mail" && mail) return { ...step, isOpen: true, hint: NOTES[mail] };
    return step.name === "phone" && isPhoneSkipped ? { ...step, isOpen: true, hint: NOTES.skipped } : step;
  });
  return <Stepper steps={steps} current={current} {...(onStep && { onStep })} />;
}
