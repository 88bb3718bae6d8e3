// The pages that links of mails open, as one file of the bundle.
export { Invite } from "./invite.tsx";
export { ForgotPassword, ResetPassword } from "./reset-password.tsx";
export { Unsubscribe } from "./unsubscribe.tsx";
export { VerifyEmail } from "./verify-email.tsx";
