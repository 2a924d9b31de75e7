"""The look of the report page: light and dark, on screen and on paper.

Colours follow Okabe and Ito (2008), which eyes of every kind tell apart; dashes and shapes say the same once more.
"""

CSS = """
:root{--ink:#1a1c1f;--soft:#565c66;--rule:#d9dce1;--paper:#fff;--card:#f6f7f9;
--s0:#1a1c1f;--s1:#0072b2;--s2:#d55e00;--s3:#7a7f87;--s4:#009e73;--s5:#aa4a86;--s6:#b07d00;--s7:#3a97cf}
@media (prefers-color-scheme:dark){:root{--ink:#eceef1;--soft:#a7adb8;--rule:#3b4048;--paper:#16181b;--card:#1f2226;
--s0:#fff;--s1:#56b4e9;--s2:#ff9d57;--s3:#9aa0aa;--s4:#2fc79a;--s5:#e59ac8;--s6:#e6b422;--s7:#8fc9ef}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem;max-width:84rem;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,"Noto Sans",Arial,sans-serif}
h1{font-size:1.5rem;margin:0}
h2{font-size:1.25rem;margin:2.4rem 0 .2rem;padding-top:.8rem;border-top:2px solid var(--rule)}
h3{font-size:1rem;margin:1.4rem 0 .3rem}
p,ul{margin:.3rem 0;max-width:62rem}.soft{color:var(--soft)}.warn{border-left:4px solid var(--s2);padding-left:.7rem}
nav a{margin-right:1rem}a{color:var(--s1)}
.figures{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:.8rem;margin:.8rem 0}
@media (max-width:56rem){.figures{grid-template-columns:minmax(0,1fr)}}
figure{margin:0;padding:.7rem;background:var(--card);border-radius:6px;max-width:100%;break-inside:avoid}
figcaption{color:var(--soft);font-size:.85rem;max-width:38rem}
.chart{display:block;max-width:100%;height:auto;font:12px system-ui,"Noto Sans",Arial,sans-serif}
.chart text{fill:var(--ink)}.chart .title{font-weight:600;font-size:13px}.chart .end{text-anchor:end}
.chart .middle{text-anchor:middle}.chart .end,.chart .middle{fill:var(--soft);font-size:11.5px}
.grid{stroke:var(--rule);stroke-width:1;fill:none}.diagonal{stroke:var(--soft);stroke-dasharray:4 4}
.line{fill:none;stroke-width:1.7;stroke-linejoin:round}.line.s0{stroke-width:3}.mark{stroke:var(--card);stroke-width:.8}
.tie{fill:none;stroke-width:.7;opacity:.7}
.s0{stroke:var(--s0)}.s1{stroke:var(--s1)}.s2{stroke:var(--s2)}.s3{stroke:var(--s3)}
.s4{stroke:var(--s4)}.s5{stroke:var(--s5)}.s6{stroke:var(--s6)}.s7{stroke:var(--s7)}
.mark.s0{fill:var(--s0)}.mark.s1{fill:var(--s1)}.mark.s2{fill:var(--s2)}.mark.s3{fill:var(--s3)}
.mark.s4{fill:var(--s4)}.mark.s5{fill:var(--s5)}.mark.s6{fill:var(--s6)}.mark.s7{fill:var(--s7)}
.line.s1{stroke-dasharray:9 3}.line.s2{stroke-dasharray:5 3}.line.s3{stroke-dasharray:2 3}
.line.s4{stroke-dasharray:9 3 2 3}
.line.s5{stroke-dasharray:1 2}.line.s6{stroke-dasharray:12 4}.line.s7{stroke-dasharray:6 2 1 2 1 2}
.chart text.name{stroke:none;font-size:12px}.chart text.name.s0{font-weight:700}
.event{stroke:var(--s2);stroke-width:1.2;fill:none}circle.event{fill:var(--card)}.event.promoted{stroke:var(--s4)}
.chart text.event{stroke:none;fill:var(--ink);font-size:10px}
.dot{fill:var(--s1)}.interval{stroke:var(--s1);stroke-width:1.5;opacity:.55}.bar{fill:var(--s1)}.empty{fill:var(--rule)}
.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.88rem;margin:.4rem 0}
caption{text-align:left;color:var(--soft);font-size:.85rem;padding-bottom:.2rem}
th,td{padding:.22rem .7rem;text-align:right;border-bottom:1px solid var(--rule);white-space:nowrap}
th{font-weight:600;vertical-align:bottom}tbody th{text-align:left;font-weight:400}tr.served{background:var(--card)}
tr.served th,tr.served td{font-weight:700}td.text,th.text{text-align:left}
.swatch{display:inline-block;width:34px;vertical-align:middle;margin-right:.4rem}
td.best{text-decoration:underline;text-decoration-thickness:2px;text-underline-offset:3px}
small{display:block;color:var(--soft);font-weight:400;font-size:.8rem;padding-left:2.55rem}
summary{cursor:pointer;color:var(--soft)}
@media print{@page{size:A4 landscape;margin:12mm}body{padding:0;max-width:none;font-size:11px}
:root{--ink:#000;--soft:#444;--rule:#ccc;--paper:#fff;--card:#fff;--s0:#000;--s1:#0072b2;--s2:#d55e00;--s3:#666;
--s4:#009e73;--s5:#aa4a86;--s6:#b07d00;--s7:#3a97cf}
section{break-before:page}nav,details{display:none}figure{border:1px solid var(--rule)}.wide{overflow:visible}
table,tr{break-inside:avoid}.figures{grid-template-columns:repeat(2,minmax(0,1fr))}
.chart{max-height:72mm;width:auto}}
"""
