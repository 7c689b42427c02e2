"""Makes the examples in this folder, from lists of words and a seed: `python examples/training/make.py`.

They are simple on purpose: a small model learns them in a minute on a laptop, and one sees at once if it did.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
DIGITS = "零一二三四五六七八九"

EN = {
    "name": [
        "Anna",
        "Ben",
        "Clara",
        "David",
        "Emma",
        "Felix",
        "Grace",
        "Henry",
        "Iris",
        "Jack",
        "Karen",
        "Leo",
        "Maria",
        "Nina",
        "Oscar",
        "Paul",
    ],
    "city": [
        "Paris",
        "Rome",
        "Berlin",
        "Madrid",
        "London",
        "Vienna",
        "Lisbon",
        "Oslo",
        "Dublin",
        "Prague",
        "Athens",
        "Warsaw",
    ],
    "job": ["teacher", "doctor", "baker", "pilot", "farmer", "painter", "nurse", "lawyer", "cook", "tailor"],
    "animal": ["dog", "cat", "horse", "parrot", "rabbit", "goat", "hamster", "donkey"],
}
ZH = {
    "name": ["王芳", "李伟", "张敏", "刘洋", "陈静", "杨帆", "赵磊", "黄丽", "周杰", "吴刚", "徐娟", "孙浩"],
    "city": ["北京", "上海", "广州", "成都", "杭州", "西安", "南京", "武汉", "青岛", "昆明"],
    "job": ["老师", "医生", "厨师", "司机", "农民", "画家", "护士", "律师"],
    "animal": ["小狗", "小猫", "白马", "鹦鹉", "兔子", "山羊", "乌龟", "金鱼"],
}
EN_STORY = ("{name} lives in {city}.", "{name} works as a {job}.", "{name} has a {animal}.")
EN_QUESTION = (
    ("Where does {name} live?", "city"),
    ("What does {name} do for a living?", "job"),
    ("Which animal does {name} have?", "animal"),
)
ZH_STORY = ("{name}住在{city}。", "{name}的工作是{job}。", "{name}养了一只{animal}。")
ZH_QUESTION = (
    ("{name}住在哪里？", "city"),
    ("{name}做什么工作？", "job"),
    ("{name}养了什么动物？", "animal"),
)


def story(draw: random.Random, words: dict[str, list[str]], lines: Any, glue: str) -> tuple[str, Any]:
    """Two people with a city, a job and an animal each, in sentences of any order."""
    names = draw.sample(words["name"], 2)
    facts = [
        {"name": name, **{kind: draw.choice(words[kind]) for kind in ("city", "job", "animal")}}
        for name in names
    ]
    for kind in ("city", "job", "animal"):  # an answer stands in the story once
        while facts[1][kind] == facts[0][kind]:
            facts[1][kind] = draw.choice(words[kind])
    sentences = [line.format(**fact) for fact in facts for line in lines]
    draw.shuffle(sentences)
    return glue.join(sentences), facts


def questions(seed: int, count: int, words: Any, lines: Any, asked: Any, glue: str) -> dict[str, Any]:
    """As SQuAD 2.0: five stories of six; in the sixth someone else is asked for, and there is no answer."""
    draw = random.Random(seed)
    paragraphs = []
    for number in range(count):
        context, facts = story(draw, words, lines, glue)
        fact = draw.choice(facts)
        question, kind = draw.choice(asked)
        impossible = number % 6 == 5
        name = fact["name"]
        if impossible:
            name = draw.choice(
                [one for one in words["name"] if one not in {known["name"] for known in facts}]
            )
        answer = {"text": fact[kind], "answer_start": context.index(fact[kind])}
        qa = {
            "id": f"{seed}-{number}",
            "question": question.format(name=name),
            "is_impossible": impossible,
            "answers": [] if impossible else [answer],
        }
        paragraphs.append({"context": context, "qas": [qa]})
    return {"version": "v2.0", "data": [{"title": "people", "paragraphs": paragraphs}]}


def spelled(number: int) -> str:
    """1 to 99 in Chinese."""
    tens, ones = divmod(number, 10)
    if not tens:
        return DIGITS[ones]
    return ("" if tens == 1 else DIGITS[tens]) + "十" + (DIGITS[ones] if ones else "")


def dates(seed: int, count: int) -> list[dict[str, str]]:
    """Dates in English and Chinese, no pair twice."""
    draw = random.Random(seed)
    found: dict[str, str] = {}
    while len(found) < count:
        year, month, day = draw.randint(1900, 2099), draw.randint(1, 12), draw.randint(1, 28)
        weekday = draw.randrange(7)
        name = MONTHS[month - 1]
        english = draw.choice(
            [f"{WEEKDAYS[weekday]}, {name} {day}, {year}", f"{day} {name} {year}", f"{name} {day}, {year}"]
        )
        chinese = "".join(DIGITS[int(one)] for one in str(year)) + f"年{spelled(month)}月{spelled(day)}日"
        if WEEKDAYS[weekday] in english:
            chinese += "星期" + "一二三四五六日"[weekday]
        found[english] = chinese
    return [{"source": english, "target": chinese} for english, chinese in found.items()]


def entities(seed: int, count: int) -> list[dict[str, Any]]:
    """Chinese sentences with entities as character spans."""
    draw = random.Random(seed)
    frames = (
        "{PER}昨天从{LOC}回来了。",
        "在{ORG}工作的{PER}住在{LOC}。",
        "{ORG}在{LOC}开了一家新店。",
        "听说{PER}要去{LOC}，是吗？",
        "{PER}和{PER}都在{ORG}上过班。",
    )
    words = {
        "PER": ZH["name"],
        "LOC": ZH["city"],
        "ORG": ["华兴公司", "东方银行", "新光书店", "长江大学", "人民医院", "明月茶馆"],
    }
    rows = []
    for _ in range(count):
        text, spans = "", []
        for part in draw.choice(frames).replace("}", "{").split("{"):
            piece = draw.choice(words[part]) if part in words else part
            if part in words:
                spans.append([len(text), len(text) + len(piece), part])
            text += piece
        rows.append({"text": text, "entities": spans})
    return rows


def write_lines(name: str, rows: list[Any]) -> None:
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (FOLDER / name).write_text(content, encoding="utf-8")


def write(name: str, document: Any) -> None:
    (FOLDER / name).write_text(
        json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8"
    )


def main() -> None:
    """Write all files."""
    write("qa_en.json", questions(1, 900, EN, EN_STORY, EN_QUESTION, " "))
    write("qa_zh.json", questions(2, 900, ZH, ZH_STORY, ZH_QUESTION, ""))
    every = dates(3, 2400)
    write_lines("dates_en_zh.jsonl", every[:2000])
    write_lines("dates_en_zh_dev.jsonl", every[2000:2200])
    write_lines("dates_en_zh_test.jsonl", every[2200:])
    write_lines("entities_zh.jsonl", entities(4, 300))


if __name__ == "__main__":
    main()
