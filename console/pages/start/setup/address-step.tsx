import { useEffect, useState } from "preact/hooks";
import type { Setting } from "../../../../src/client/api-types.gen.ts";
import { api } from "../../../app/api.ts";
import { isLoopback, SERVER_URL } from "../../../app/base.ts";
import { useFieldErrors } from "../../../app/field-errors.ts";
import { invalidate } from "../../../app/query.ts";
import { Banner, Button, Field, Form, Input } from "../../../ui/index.ts";
import { inLabels, SETTING_ERRORS } from "../../settings/setting-words.ts";
import { fixedText } from "./settings.ts";

interface Check {
  readonly ok: boolean;
  readonly problems: readonly { readonly message: string }[];
}

interface AddressProps {
  readonly setting: Setting | undefined;
  readonly onDone: () => void;
}

/** The public URL, by default the address of this page. */
export function AddressStep({ setting, onDone }: AddressProps) {
  const isFixed = setting !== undefined && !setting.isFree;
  const [url, setUrl] = useState(typeof setting?.value === "string" ? setting.value : SERVER_URL);
  const refused = useFieldErrors(["publicUrl"], SETTING_ERRORS);
  const problem = useAddressCheck(url, !isFixed) ?? refused.of("publicUrl");
  const change = (next: string) => {
    refused.clear();
    setUrl(next);
  };
  const store = () => refused.attempt(() => api.put<object>("/settings", { values: { publicUrl: url.trim() } }));
  const save = async () => {
    if (!isFixed && !(await store())) return;
    invalidate("/settings");
    onDone();
  };
  return (
    <Form onSubmit={save} label="Public URL">
      <Field
        label="Public URL"
        hint={isFixed ? fixedText(setting) : "As browsers reach the server, with the path of a proxy if there is one."}
        {...(problem !== undefined && { error: problem })}
      >
        <Input type="url" value={url} onChange={change} mono readOnly={isFixed} autoFocus />
      </Field>
      <Verdict url={url} hasProblem={problem !== undefined} />
      <div class="setup-actions">
        <Button variant="primary" type="submit" disabled={problem !== undefined || url.trim() === ""}>
          {isFixed ? "Continue" : "Save and continue"}
        </Button>
      </div>
    </Form>
  );
}

const CHECK_DELAY_MS = 300;

/** @returns why the server would refuse the address */
function useAddressCheck(url: string, isOn: boolean): string | undefined {
  const [problem, setProblem] = useState<string>();
  useEffect(() => {
    setProblem(undefined);
    if (!isOn || url.trim() === "") return;
    let isCurrent = true;
    const timer = setTimeout(async () => {
      const values = { publicUrl: url.trim() };
      const found = await api.post<Check>("/settings/check", { values }).catch(() => undefined);
      if (isCurrent)
        setProblem(found?.ok === false ? inLabels(found.problems[0]?.message ?? "is not valid") : undefined);
    }, CHECK_DELAY_MS);
    return () => {
      isCurrent = false;
      clearTimeout(timer);
    };
  }, [url, isOn]);
  return problem;
}

function Verdict({ url, hasProblem }: { readonly url: string; readonly hasProblem: boolean }) {
  const given = url.trim().replace(/\/+$/, "");
  if (hasProblem || given === "") return null;
  if (given !== SERVER_URL) {
    return (
      <Banner tone="warn">
        This browser reached the server at {SERVER_URL}. Make sure that others reach it at {given}.
      </Banner>
    );
  }
  if (isLoopback(new URL(SERVER_URL).hostname))
    return <Banner tone="info">Only programs on this machine reach this address: good for a trial.</Banner>;
  if (!given.startsWith("https:"))
    return (
      <Banner tone="warn">
        The address has no https: passwords are readable on the way, and browsers allow neither push nor installation.
      </Banner>
    );
  return <Banner tone="ok">This browser has reached the server at this address.</Banner>;
}
