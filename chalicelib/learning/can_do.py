"""What a learner of a CEFR level can do, skill by skill, in our own words.

The levels are those of the Common European Framework of Reference; its official descriptors are in the
Companion Volume of the Council of Europe.
"""

from collections.abc import Mapping

from chalicelib.catalogue.items import CefrLevel, Skill

CAN_DO: Mapping[Skill, Mapping[CefrLevel, str]] = {
    "reading": {
        "A1": "I understand names, signs and very short everyday messages.",
        "A2": "I find what I look for in menus, timetables, adverts and short letters.",
        "B1": "I follow texts on work, school and leisure, and letters that tell of events and feelings.",
        "B2": "I read articles and reports that argue for a point of view.",
        "C1": "I understand long and demanding texts, and notice differences of style.",
        "C2": "I read practically anything with ease, however abstract or intricate.",
    },
    "listening": {
        "A1": "I understand familiar words and simple questions when people speak slowly and clearly.",
        "A2": "I catch the point of short, clear announcements and talk about everyday life.",
        "B1": "I follow the main points of clear speech on familiar matters.",
        "B2": "I follow longer talks and most films and news in standard speech.",
        "C1": "I understand long talks, also where their structure is not made plain.",
        "C2": "I understand any spoken language, live or recorded, at natural speed.",
    },
    "writing": {
        "A1": "I write a postcard and fill in a form about myself.",
        "A2": "I write short notes and a simple letter of thanks.",
        "B1": "I write connected text on what I know, and letters about experiences.",
        "B2": "I write clear, detailed texts, and give reasons for and against.",
        "C1": "I write well-structured texts on complex subjects, in a style that fits the reader.",
        "C2": "I write smooth and precise texts of any kind, and summaries of the work of others.",
    },
    "speaking": {
        "A1": "I introduce myself, and ask and answer simple questions.",
        "A2": "I manage short exchanges on everyday matters.",
        "B1": "I cope with most situations while travelling, and tell what I have lived through.",
        "B2": "I converse fluently enough with native speakers, and explain my views.",
        "C1": "I express myself fluently without much searching for words.",
        "C2": "I take part in any conversation, with fine shades of meaning.",
    },
    "grammar": {
        "A1": "I use a few learned patterns for simple sentences.",
        "A2": "I use simple structures rightly, with some basic slips.",
        "B1": "I use common structures with fair accuracy, past and future included.",
        "B2": "I make few mistakes, and none that lead to misunderstanding.",
        "C1": "I keep a high accuracy throughout; errors are rare.",
        "C2": "I control complex language fully, also while thinking of something else.",
    },
    "vocabulary": {
        "A1": "I know the words for myself, my family and concrete everyday things.",
        "A2": "I have enough words for routine everyday dealings.",
        "B1": "I have enough words for most topics of my life, at times with a paraphrase.",
        "B2": "I have a good range of words for my field and for general topics.",
        "C1": "I have a wide vocabulary with idioms, and close gaps without stopping.",
        "C2": "I have a very wide vocabulary, with idioms and their overtones.",
    },
}
