import { Card, isDark, RadioGroup, setTheme, type Theme, theme } from "../../ui/index.ts";
import { AccountPage } from "./account-page.tsx";

const THEMES = [
  { value: "system", label: "System", hint: "As the operating system, also at night." },
  { value: "light", label: "Light" },
  { value: "dark", label: "Dark" },
];

export default function Appearance() {
  return (
    <AccountPage tab="appearance" subtitle={`This browser shows the ${isDark.value ? "dark" : "light"} theme.`}>
      <Card title="Theme" sub="Kept in this browser.">
        <RadioGroup label="Theme" value={theme.value} onChange={(value) => setTheme(value as Theme)} options={THEMES} />
      </Card>
    </AccountPage>
  );
}
