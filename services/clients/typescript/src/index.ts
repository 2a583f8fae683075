export { type Asking, type Classified, type Options, Reeve } from './client.js';
export { type FieldError, ReceiptWrong, ReeveError, Refused, type Rule, Unreachable } from './errors.js';
export { type Receipt, verifyReceipt } from './receipt.js';
