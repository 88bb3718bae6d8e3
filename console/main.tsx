import "./styles/index.css";
import "./app/shell.css";
import { effect } from "@preact/signals";
import { render } from "preact";
import { LocationProvider } from "preact-iso/router";
import { CONSOLE_ROOT } from "./app/base.ts";
import { useNavigation } from "./app/navigate.ts";
import { me, resumeSession, session } from "./app/session.ts";
import { Shell } from "./app/shell.tsx";
import { StartPages } from "./pages/start/start-pages.tsx";
import { displayZone } from "./ui/index.ts";

effect(() => {
  displayZone.value = me.value?.timezone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
});

function Console() {
  useNavigation();
  switch (session.value) {
    case "loading":
      return null;
    case "signedIn":
      return <Shell />;
    default:
      return <StartPages />;
  }
}

const root = document.getElementById("app");
if (root) {
  render(
    <LocationProvider scope={CONSOLE_ROOT}>
      <Console />
    </LocationProvider>,
    root,
  );
  void resumeSession();
}
