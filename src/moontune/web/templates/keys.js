// A key by its place on the keyboard where it writes none of this page's: on keyboards of other scripts the letter of a
// Latin one, and the digit where letters with marks stand.
const UNTOLD = ["Dead", "Process", "Unidentified"], MARKS = { Comma: ",", Period: "." };

export function keyOf({ key, code = "", shiftKey }) {
  const [, letter, digit] = /^(?:Key([A-Z])|Digit([0-9]))$/.exec(code) || [];
  if (digit && !shiftKey) return digit;
  if (key.length > 1 && !UNTOLD.includes(key)) return key;
  if (/^[ -~]$/.test(key)) return key.toLowerCase();
  return letter?.toLowerCase() || MARKS[code] || key;
}
