#!/usr/bin/env bash
# browser_test.sh WRITER: opens a page of 5,000 pictures in headless Chromium, sorts, filters, moves by keyboard, and looks at what it holds.
# Exit code 77, a skip, where there is no Chromium.
set -euo pipefail
browser=$(command -v chromium chromium-browser google-chrome | head -1) || true
[ -n "$browser" ] || { echo "no Chromium is installed; install it to test the page"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$1" 5000 >"$work/page.html"

# The steps run in the page itself; what they find becomes its only content.
cat >>"$work/page.html" <<'PAGE'
<script>
const found = [];
const expect = (what, good) => found.push((good ? 'ok ' : 'FAILED ') + what);
const choose = (id, value) => { byId(id).value = value; byId(id).dispatchEvent(new Event('change')); };
const cards = () => [...list.querySelectorAll('.card')].sort((a, b) => a.getAttribute('aria-posinset') - b.getAttribute('aria-posinset'));
const key = name => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: name, bubbles: true, cancelable: true}));
try {
  scrollTo(0, list.offsetTop);
  draw();
  expect('all are counted', byId('count').textContent === '5000 of 5000');
  expect('few are drawn', cards().length > 0 && cards().length < 200);
  expect('a nasty name is text', cards().some(c => c.textContent.includes('</scr' + 'ipt><scr' + 'ipt>')) && document.querySelectorAll('img[src=x]').length === 0);
  expect('nothing of it ran', document.title === 'A page of pictures');
  choose('sort', 'fake');
  const scores = cards().map(c => parseFloat(c.querySelector('.verdict span').textContent));
  expect('fakes first', scores.length > 1 && scores.every((s, i) => i === 0 || scores[i - 1] >= s));
  choose('filter', 'failed');
  expect('failed ones are filtered', byId('count').textContent === '250 of 5000' && cards().every(c => c.textContent.includes('ends early <b>')));
  choose('filter', 'unsure');
  expect('unsure ones are filtered', byId('count').textContent === '500 of 5000' && cards().every(c => c.querySelector('b').textContent.endsWith('unsure')));
  choose('filter', 'all');
  byId('search').value = '0042';
  byId('search').dispatchEvent(new Event('input'));
  expect('search finds one', byId('count').textContent === '1 of 5000');
  byId('search').value = '';
  byId('search').dispatchEvent(new Event('input'));
  choose('sort', 'input');
  cards()[0].focus();
  expect('focus shows the heat map', document.activeElement.querySelector('canvas') !== null);
  key('ArrowRight');
  expect('arrows move', document.activeElement.getAttribute('aria-posinset') === '2');
  key('End');
  expect('End goes to the last', document.activeElement.getAttribute('aria-posinset') === '5000' && cards().length < 300);
  key('Enter');
  expect('Enter opens it', byId('detail').open && byId('detail').textContent.includes('4999.jpg'));
} catch (error) {
  expect(error.stack, false);
}
document.body.textContent = found.join('\n');
</script>
PAGE
"$browser" --headless=new --no-sandbox --disable-gpu --enable-logging=stderr --window-size=1200,900 --virtual-time-budget=3000 --dump-dom "file://$work/page.html" >"$work/out" 2>"$work/err" ||
  { cat "$work/err"; exit 1; }
steps=$(grep -oE "(ok|FAILED) [a-zA-Z].*" "$work/out" | sed "s/<.*//")
echo "$steps"
[ "$(grep -c '^ok ' <<<"$steps")" -eq 12 ] || { grep CONSOLE "$work/err"; exit 1; }
