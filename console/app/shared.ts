// The parts that most pages use. The build lets every page import this list, so that they are one
// file, which loads first: otherwise each part with other users than the next is a file of its own.
import "../ui/index.ts";
import "./api.ts";
import "./base.ts";
import "./confirm-delete.ts";
import "./filters.ts";
import "./hotkeys.ts";
import "./live.ts";
import "./loaded-page.tsx";
import "./matchers.ts";
import "./memberships.ts";
import "./navigate.ts";
import "./offline.ts";
import "./people.ts";
import "./person-name.tsx";
import "./project-choice.tsx";
import "./projects.ts";
import "./query.ts";
import "./refresh.ts";
import "./save-file.ts";
import "./session.ts";
